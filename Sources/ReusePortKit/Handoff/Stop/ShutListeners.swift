import CLinux

/// Ends the listening with shutdown(2), for all processes that hold the listeners. The kernel moves what waits there as
/// if they had been closed.
///
/// `listensAgain` lets them listen anew, to nothing: many programs take an error of accept(2) for the end of everything.
/// The eBPF program does not know a listener that listens again, so no new connection comes there.
func shut(_ listeners: [OpenListener], heldBy holders: SocketHolders, listensAgain: Bool) {
    for listener in listeners where listener.identity.transport == .tcp {
        for holder in holders.holders(of: listener.inode) {
            guard let socket = try? borrowSocket(of: holder, cookie: listener.identity.cookie) else { continue }
            shutdown(socket.number, Int32(SHUT_RDWR))
            if listensAgain { listen(socket.number, 1) }
            break
        }
    }
}
