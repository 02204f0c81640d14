import CLinux

/// Lets `use` have a duplicate of a listener of another process, for a caller that has no member of its reuseport group
/// and needs one to attach a classic BPF program. `first` is the process that is likely to hold it.
///
/// ENOENT: there is no such listener, or no process holds it any more. EPERM: we may not trace the processes that do.
/// EMFILE: it was not found, and there are more descriptors than are searched.
func borrowListener(
    _ identity: ListenerIdentity, first: ProcessIdentity? = nil, until deadline: Deadline = borrowingDeadline(),
    _ use: (borrowing Descriptor) throws(Errno) -> Void
) throws(Errno) {
    let inode =
        if let port = identity.address.port {
            try sockets(of: identity.transport, family: identity.address.family, on: port)
                .first { $0.cookie == identity.cookie }?.inode
        } else {
            try listeningUnixSockets().first { $0.cookie == identity.cookie }?.inode
        }
    guard let inode else { throw .noEntry }
    var failure = Errno.noEntry
    // Asks every holder if need be, not only the copy itself: a master may leave its listener to its workers.
    for onlyFirst in [true, false] {
        let holders = try holders(ofSocketInodes: [inode], first: first, onlyFirst: onlyFirst)
        failure = !holders.isComplete ? .processLimit : !holders.hidden.isEmpty ? .notPermitted : .noEntry
        for holder in holders.found where !deadline.hasPassed {
            do throws(Errno) {
                try borrowSocket(of: holder, cookie: identity.cookie, until: deadline) { (socket) throws(Errno) in
                    try use(socket)
                    return ByteString()
                }
                return
            } catch {
                failure = error
            }
        }
    }
    throw failure
}

/// Lets `use` have any member of a listener's reuseport group, for a caller that has none: the listener, borrowed, or
/// where that is not allowed a new one. That one joins as the last member, and closes at once. EPERM: nor may we, for the
/// group has another owner.
func withMember(
    ofGroupOf identity: ListenerIdentity, first: ProcessIdentity?, until deadline: Deadline,
    _ use: (borrowing Descriptor) throws(Errno) -> Void
) throws(Errno) {
    do throws(Errno) {
        return try borrowListener(identity, first: first, until: deadline, use)
    } catch .notPermitted {
    }
    try withNewMember(ofGroupOf: identity, use)
}

/// Lets `use` have a new listener, the last member of the group of a listener.
///
/// After a member has left, the attached program may name the place that the new one gets. So it drops what comes from
/// clients, who ask again a second later: what it accepted would be reset.
func withNewMember(
    ofGroupOf identity: ListenerIdentity, _ use: (borrowing Descriptor) throws(Errno) -> Void
) throws(Errno) {
    let records = try sockets(of: identity.transport, family: identity.address.family, on: identity.address.port)
    guard let record = records.first(where: { $0.cookie == identity.cookie }) else { throw .noEntry }
    guard record.uid == geteuid() else { throw .notPermitted }
    let isUDP = identity.transport == .udp
    let socket = try socket(
        family: record.family, type: Int32(isUDP ? SOCK_DGRAM.rawValue : SOCK_STREAM.rawValue))
    try setOption(socket, SOL_SOCKET, SO_REUSEPORT, 1)
    // As the member may be, whose address has been taken away since.
    try setOption(socket, Int32(IPPROTO_IP), IP_FREEBIND, 1)
    if record.family == AF_INET6 {
        try setOption(socket, Int32(IPPROTO_IPV6), IPV6_V6ONLY, identity.isDualStack ? 0 : 1)
        try setOption(socket, Int32(IPPROTO_IPV6), IPV6_MINHOPCOUNT, 255)
    }
    if record.interface != 0 { try setOption(socket, SOL_SOCKET, CLINUX_SO_BINDTOIFINDEX, Int32(record.interface)) }
    // Unlike a filter this needs no privilege. Packets begin with 64 or 128.
    try setOption(socket, Int32(IPPROTO_IP), IP_MINTTL, 255)
    try bind(socket, to: identity.address)
    if !isUDP { try listen(socket, backlog: 1) }
    try use(socket)
}
