/// A listener that is still open.
struct OpenListener: Sendable {
    let identity: ListenerIdentity
    let inode: UInt64

    var label: ListenerLabel {
        ListenerLabel(name: identity.name, address: identity.address.description)
    }
}

/// Asks the kernel which of these listeners are still open, whoever holds them: TCP and Unix sockets that listen, UDP
/// sockets that are bound.
func openListeners(_ listeners: [ListenerIdentity]) throws(Errno) -> [OpenListener] {
    // An `InodeSet` holds any 64-bit numbers, so cookies too, and finds them quickly.
    let wanted = InodeSet(listeners.map { $0.cookie })
    var found: [(cookie: UInt64, inode: UInt64)] = []
    func keep(_ records: [SocketRecord]) {
        for record in records where wanted.contains(record.cookie) { found.append((record.cookie, record.inode)) }
    }
    if listeners.contains(where: { $0.transport == .tcp }) { keep(try internetSockets(.tcp, states: .listening)) }
    if listeners.contains(where: { $0.transport == .udp }) { keep(try internetSockets(.udp, states: .datagram)) }
    if listeners.contains(where: { $0.transport == .unix }) {
        for record in try listeningUnixSockets() where wanted.contains(record.cookie) {
            found.append((record.cookie, record.inode))
        }
    }
    return listeners.compactMap { listener in
        found.first { $0.cookie == listener.cookie }.map { OpenListener(identity: listener, inode: $0.inode) }
    }
}
