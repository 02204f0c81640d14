/// A listener that is still there.
struct ListenerLeft: Sendable {
    let identity: ListenerIdentity
    let inode: UInt64
}

/// Which of these listeners the kernel still has, whoever holds them: TCP and Unix sockets that listen, UDP sockets
/// that are bound.
func listenersLeft(_ listeners: [ListenerIdentity]) throws(Errno) -> [ListenerLeft] {
    // Sorted to be found quickly; the set is one of 64-bit numbers, which cookies are too.
    let wanted = InodeSet(listeners.map { $0.cookie })
    var found: [(cookie: UInt64, inode: UInt64)] = []
    func note(_ records: [SocketRecord]) {
        for record in records where wanted.contains(record.cookie) { found.append((record.cookie, record.inode)) }
    }
    if listeners.contains(where: { $0.transport == .tcp }) { note(try internetSockets(.tcp, states: .listening)) }
    if listeners.contains(where: { $0.transport == .udp }) {
        note(try internetSockets(.udp, states: .datagram))
    }
    if listeners.contains(where: { $0.transport == .unix }) {
        for record in try listeningUnixSockets() where wanted.contains(record.cookie) {
            found.append((record.cookie, record.inode))
        }
    }
    if found.isEmpty { return [] }
    var result: [ListenerLeft] = []
    for listener in listeners {
        if let one = found.first(where: { $0.cookie == listener.cookie }) {
            result.append(ListenerLeft(identity: listener, inode: one.inode))
        }
    }
    return result
}

/// `http 127.0.0.1:80, admin /run/web/admin.sock`
func described(_ listeners: [ListenerLeft]) -> ByteString {
    joined(listeners.map { "\($0.identity.name) \($0.identity.address.description)" }, by: ", ")
}
