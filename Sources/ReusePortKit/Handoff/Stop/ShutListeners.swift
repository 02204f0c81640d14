import CLinux

/// The result of shutting listeners.
struct Shutting {
    /// Whether one was.
    var isDone = false
    /// What this process would need for the others.
    var lacks = Capabilities()
}

/// Ends the listening with shutdown(2), for all processes that hold the listeners. The kernel moves what waits there as
/// if they had been closed. What cannot be borrowed is destroyed by sock_diag(7), to the same effect.
///
/// `listensAgain` lets them listen anew, to nothing: many programs take an error of accept(2) for the end of everything.
/// The eBPF program does not know a listener that listens again, so no new connection comes there.
func shut(_ listeners: [OpenListener], heldBy holders: SocketHolders, listensAgain: Bool) -> Shutting {
    var result = Shutting()
    for listener in listeners where listener.identity.transport == .tcp {
        var isShut = false
        for holder in holders.holders(of: listener.inode) {
            let obstacle = reason { () throws(Errno) in
                try borrowSocket(of: holder, cookie: listener.identity.cookie) { (socket) throws(Errno) in
                    shutdown(socket.number, Int32(SHUT_RDWR))
                    if listensAgain { CLinux.listen(socket.number, 1) }
                    return ByteString()
                }
            }
            if obstacle == nil {
                isShut = true
                break
            }
        }
        if !isShut, !listensAgain {
            result.lacks.insert(.ptrace)
            let errno = reason { () throws(Errno) in
                try destroyListener(listener.identity, interface: listener.interface)
            }
            if errno == .notPermitted { result.lacks.insert(.netAdmin) }
            isShut = errno == nil
        }
        if isShut { result.isDone = true }
    }
    return result
}
