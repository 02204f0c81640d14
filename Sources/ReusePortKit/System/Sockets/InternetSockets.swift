import CLinux

/// The TCP or UDP sockets of our network namespace in these states, IPv4 ones first. It needs no privilege.
///
/// The kernel leaves out other states and ports by itself, and looks at connections only if their states are wanted:
/// listeners are quickly found on a host with many connections.
///
/// `unread`: only connections of which nothing was read yet, or not all that has come.
///
/// **Order.** Within one family, address and port, the kernel's order is kept, and it tells who came first. For
/// `listening` TCP sockets, "came" is the call of listen(2) (calling it again changes nothing); for UDP it is bind(2):
///
/// - IPv4: the newest comes first;
/// - IPv6 with SO_REUSEPORT: the oldest comes first (the kernel appends those and puts all others in front, so that
///   IPv4 sockets are found before dual-stack ones).
///
/// `oldestFirst(_:)` makes both the same. That is the order of the members of a reuseport group, by which a cBPF
/// program selects, only as long as none has left: the group moves its last member to the place of the one that
/// leaves, while this order keeps the others as they were. Members 0 1 2 3 4 5, 1 closed, 6 added: the group is
/// 0 5 2 3 4 6, the dump still says 0 2 3 4 5 6. (Tried on Linux 6.18, TCP and UDP, specific and wildcard addresses.)
func internetSockets(
    _ internetProtocol: InternetProtocol, family: Int32? = nil, states: SocketStates, localPort: UInt16? = nil,
    unread: Bool = false
) throws(Errno) -> [SocketRecord] {
    let diagnostics = try DiagnosticSocket()
    var result: [SocketRecord] = []
    for one in [AF_INET, AF_INET6] where family == nil || family == one {
        var request = inet_diag_req_v2()
        request.sdiag_family = UInt8(one)
        request.sdiag_protocol = internetProtocol.rawValue
        request.idiag_states = states.mask(for: internetProtocol)
        if unread { request.idiag_ext = 1 << UInt8(INET_DIAG_INFO - 1) }
        // With a dump, the kernel compares the ports of the request and nothing else of it; 0 is any.
        request.id.idiag_sport = (localPort ?? 0).bigEndian
        request.id.idiag_cookie = (UInt32.max, UInt32.max)
        try diagnostics.dump(request) { message in
            guard let record = SocketRecord(message: message) else { return }
            if let localPort, record.address.port != localPort { return }
            if unread && !record.isUnread { return }
            result.append(record)
        }
    }
    return result
}

/// Turns the kernel's order of records of one address and port into the order in which they came; see
/// `internetSockets`.
func oldestFirst(_ records: [SocketRecord]) -> [SocketRecord] {
    records.filter { $0.family == AF_INET }.reversed() + records.filter { $0.family != AF_INET }
}

/// Established TCP connections to a local port, those included that are not accepted yet (inode 0).
func establishedConnections(toLocalPort port: UInt16) throws(Errno) -> [SocketRecord] {
    try internetSockets(.tcp, states: .established, localPort: port)
}

/// The connections to listeners of this family and port of which nothing was read yet, or not all that has come: those
/// whose handshake is under way, those that wait to be accepted, and those that were accepted a moment ago.
func unreadConnections(_ listener: SocketAddress) throws(Errno) -> [SocketRecord] {
    try internetSockets(
        .tcp, family: listener.family, states: .receiving, localPort: listener.port, unread: true)
}

/// Whether this connection is still one of those.
func isUnread(_ connection: SocketRecord) throws(Errno) -> Bool {
    let now = try ReusePortKit.connection(
        from: connection.address, to: connection.remote, interface: connection.interface)
    guard let now, now.cookie == connection.cookie else { return false }
    return now.isUnread
}

extension SocketRecord {
    /// Needs `received`. One that both ends have begun to close is not read any more.
    fileprivate var isUnread: Bool {
        switch state {
        case .synReceived: true
        case .established, .closeWait: acceptQueue > 0 || received == 0
        default: false
        }
    }
}

/// How many of these connections the process has accepted and still holds. EACCES if we may not see its descriptors.
func count(
    _ connections: [SocketRecord], heldBy process: ProcessIdentity, in proc: ProcFileSystem = ProcFileSystem()
) throws(Errno) -> Int {
    let inodes = try socketInodes(of: process, in: proc)
    var result = 0
    for connection in connections where inodes.contains(connection.inode) { result += 1 }
    return result
}
