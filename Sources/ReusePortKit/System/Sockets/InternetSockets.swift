import CLinux

/// Lists the TCP or UDP sockets of this network namespace in these states, IPv4 first. Needs no privilege.
///
/// The kernel filters states and ports, and visits connections only if their states are wanted, so listeners are found
/// quickly on a host with many connections.
///
/// `isWanted`: lists only these; asks for how much they have received, too.
///
/// **Order.** Within one family, address and port, sockets have the kernel's order, which tells their age. It is the
/// order of the first listen(2) for `listening` TCP sockets, and of bind(2) for UDP:
///
/// - IPv4: the newest comes first.
/// - IPv6 with SO_REUSEPORT: the oldest comes first. The kernel appends those and puts all others in front, so that it
///   finds IPv4 sockets before dual-stack ones.
///
/// `oldestFirst(_:)` turns both into one order. A cBPF program selects by the index in the reuseport group, which is
/// that order only until a member leaves: the group moves its last member into the gap, while the dump keeps the order.
/// After members 0 1 2 3 4 5, 1 closed, 6 added, the group is 0 5 2 3 4 6, and the dump 0 2 3 4 5 6. (Tried on Linux
/// 6.18 with TCP and UDP, specific and wildcard addresses.)
@inline(never)
func internetSockets(
    _ internetProtocol: InternetProtocol, family: Int32? = nil, states: SocketStates, localPort: UInt16? = nil,
    where isWanted: ((SocketRecord) -> Bool)? = nil
) throws(Errno) -> [SocketRecord] {
    let diagnostics = try DiagnosticSocket()
    var result: [SocketRecord] = []
    for one in [AF_INET, AF_INET6] where family == nil || family == one {
        var request = inet_diag_req_v2()
        request.sdiag_family = UInt8(one)
        request.sdiag_protocol = internetProtocol.rawValue
        request.idiag_states = states.mask(for: internetProtocol)
        if isWanted != nil { request.idiag_ext = 1 << UInt8(INET_DIAG_INFO - 1) }
        // A dump compares only the ports of the request's socket id; 0 is any.
        request.id.idiag_sport = (localPort ?? 0).bigEndian
        request.id.idiag_cookie = (UInt32.max, UInt32.max)
        try diagnostics.dump(request) { message in
            guard let record = SocketRecord(message: message) else { return }
            if let localPort, record.address.port != localPort { return }
            if let isWanted, !isWanted(record) { return }
            result.append(record)
        }
    }
    return result
}

/// Sorts records of one address and port, in the order of `internetSockets`, by age.
func oldestFirst(_ records: [SocketRecord]) -> [SocketRecord] {
    records.filter { $0.family == AF_INET }.reversed() + records.filter { $0.family != AF_INET }
}

/// Lists the established TCP connections to a local port, including those that are not accepted yet (inode 0).
func establishedConnections(toLocalPort port: UInt16) throws(Errno) -> [SocketRecord] {
    try internetSockets(.tcp, states: .established, localPort: port)
}

/// Whether the handshake of a connection is still under way.
func isInHandshake(_ connection: SocketRecord) -> Bool {
    let now = try? ReusePortKit.connection(
        from: connection.address, to: connection.remote, interface: connection.interface)
    return now?.cookie == connection.cookie && now?.state == .synReceived
}

/// Returns whether a connection still has unread data, or nothing was read of it yet.
func isUnread(_ connection: SocketRecord) throws(Errno) -> Bool {
    let now = try ReusePortKit.connection(
        from: connection.address, to: connection.remote, interface: connection.interface)
    guard let now, now.cookie == connection.cookie else { return false }
    return now.isUnread
}

extension SocketRecord {
    /// Whether it has unread data, or nothing was read of it yet: in the handshake, waiting to be accepted, or accepted a
    /// moment ago. False for connections that both ends are closing, because nobody reads from those.
    var isUnread: Bool {
        switch state {
        case .synReceived: true
        case .established, .closeWait: acceptQueue > 0 || hasReceivedNothing
        default: false
        }
    }
}

/// Counts the connections that a process has open. EACCES if its descriptors may not be seen.
func count(
    _ connections: [SocketRecord], heldBy process: ProcessIdentity, in proc: ProcFileSystem = ProcFileSystem()
) throws(Errno) -> Int {
    let inodes = try socketInodes(of: process, in: proc)
    return connections.filter { inodes.contains($0.inode) }.count
}
