import CLinux

/// shutdown(2) of listeners ends the listening, whoever has them; what waits there is moved as if they were closed.
///
/// `listensAgain`: accept(2) is to find nothing, for many programs take an error there for the end of everything. The
/// program at level 1 does not know what listens again; nothing new comes there.
func shut(_ listeners: [ListenerLeft], _ holders: SocketHolders, listensAgain: Bool) {
    for one in listeners where one.identity.transport == .tcp {
        for holder in holders.holders(of: one.inode) {
            guard let socket = try? borrowSocket(of: holder, cookie: one.identity.cookie) else { continue }
            shutdown(socket.number, Int32(SHUT_RDWR))
            if listensAgain { listen(socket.number, 1) }
            break
        }
    }
}
