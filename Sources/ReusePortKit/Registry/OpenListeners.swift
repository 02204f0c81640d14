/// A listener that is still open.
struct OpenListener: Sendable {
    let identity: ListenerIdentity
    let inode: UInt64
    /// The network interface that it is bound to, 0 for none.
    var interface: UInt32 = 0

    /// Whether it was hidden from new connections (`hide`).
    var isHidden: Bool { interface == noInterface }

    var label: ListenerLabel {
        ListenerLabel(name: identity.name, address: identity.address.description)
    }
}

/// Fails if the kernel does not tell of such listeners, without which nothing could be known of copies.
func checkListing(_ listeners: [ListenerIdentity]) throws(Failure) {
    try step("list", "listening sockets", remedy: diagnosticsRemedy) { () throws(Errno) in
        _ = try openListeners(listeners)
    }
}

/// Asks the kernel which of these listeners are still open, whoever holds them: TCP and Unix sockets that listen, UDP
/// sockets that are bound. Sees those of this network namespace only.
func openListeners(_ listeners: [ListenerIdentity]) throws(Errno) -> [OpenListener] {
    // An `InodeSet` holds any 64-bit numbers, so cookies too, and finds them quickly.
    let wanted = InodeSet(listeners.map { $0.cookie })
    var found: [(cookie: UInt64, inode: UInt64, interface: UInt32)] = []
    func keep(_ records: [SocketRecord]) {
        for record in records where wanted.contains(record.cookie) {
            found.append((record.cookie, record.inode, record.interface))
        }
    }
    if listeners.contains(where: { $0.transport == .tcp }) { keep(try internetSockets(.tcp, states: .listening)) }
    if listeners.contains(where: { $0.transport == .udp }) { keep(try internetSockets(.udp, states: .datagram)) }
    if listeners.contains(where: { $0.transport == .unix }) {
        for record in try listeningUnixSockets() where wanted.contains(record.cookie) {
            found.append((record.cookie, record.inode, 0))
        }
    }
    return listeners.compactMap { listener in
        found.first { $0.cookie == listener.cookie }.map {
            OpenListener(identity: listener, inode: $0.inode, interface: $0.interface)
        }
    }
}

extension AppState {
    /// How many copies of a generation get connections, and have all their listeners open to them.
    func serving(_ generation: UInt64) throws(Failure) -> Int {
        let live = copies(of: generation).filter { $0.state == .live }
        let open = try step("list", "listening sockets", remedy: diagnosticsRemedy) { () throws(Errno) in
            try openListeners(of: live)
        }
        var count = 0
        for copy in live
        where copy.listeners.allSatisfy({ one in
            open.contains { $0.identity.cookie == one.identity.cookie && !$0.isHidden }
        }) {
            count += 1
        }
        return count
    }
}

func openListeners(of copies: [CopyRecord]) throws(Errno) -> [OpenListener] {
    try openListeners(copies.flatMap { $0.listeners.map { $0.identity } })
}
