import CLinux

/// Lets copies that get no new connection come to terms with what they have got, before they are told to stop.
///
/// Handshakes under way end, what is queued is accepted, and datagrams are read. `moves`: what is left in a queue goes
/// to another listener, so no time is spent on it unless `--settle` was said, by whoever stops them (`settle`) or of
/// the copies themselves. What is accepted already is read, for some programs drop that when they stop. `patience` is
/// for the queues, and what is left of it is answered: whoever accepts nothing is waited for once.
@discardableResult
func awaitDrained(
    _ copies: [CopyRecord], moves: Bool, settle: Milliseconds? = nil, hasSettled: Bool = false, reads: Bool = true,
    patience: Milliseconds = .seconds(5)
) throws(Failure) -> Milliseconds {
    var time = settle ?? Steering.settleTime(movesQueued: moves)
    var patience = moves ? Milliseconds(20) : patience
    for copy in copies {
        if let own = copy.settle { time = max(time, own) }
        patience = min(patience, copy.stopTimeout)
    }
    let listeners = copies.flatMap { $0.listeners.map { $0.identity } }
    if !hasSettled {
        let deadline = Deadline(after: time)
        while !deadline.hasPassed { _ = poll(nil, 0, deadline.pollTimeout) }
    }
    let deadline = Deadline(after: patience)
    try watch(until: deadline) { () throws(Failure) in try queued(listeners) == 0 }
    let left = deadline.remaining
    if reads && !hasSettled { awaitRead(listeners) }
    return left
}

/// Waits until something is so, or it takes too long.
private func watch<Reason: Error>(
    until deadline: Deadline, _ isSo: () throws(Reason) -> Bool
) throws(Reason) {
    var pause: Int32 = 1
    while !(try isSo()) && !deadline.hasPassed {
        _ = poll(nil, 0, pause)
        pause = min(pause + 1, 5)
    }
}

/// Waits until of each connection that is there now something was read: half a second at most, for some clients say
/// nothing.
///
/// A request comes a moment after the handshake, and the server may have accepted in between. If it is lost on the way
/// it comes again after 200 ms (TCP_RTO_MIN) and more. The new generation's connections are waited for too, which takes
/// no longer: who is whose would have to be looked up in /proc.
///
/// The kernel looks at all connections of the host to tell which ones there are, milliseconds on a busy one, so it is
/// asked once; after that for one at a time.
private func awaitRead(_ listeners: [ListenerIdentity]) {
    var unread: [SocketRecord] = []
    for listener in oneForEachPort(listeners) where listener.transport == .tcp {
        unread += (try? unreadConnections(listener.address)) ?? []
    }
    watch(until: Deadline(after: Milliseconds(500))) {
        while let last = unread.last {
            if (try? isUnread(last)) ?? false { return false }
            unread.removeLast()
        }
        return true
    }
}

/// How many connections wait to be accepted, or bytes of datagrams to be read: 0 only if there is neither.
private func queued(_ listeners: [ListenerIdentity]) throws(Failure) -> Int {
    var result = 0
    try step("read", "the accept queues") { () throws(Errno) in
        for one in oneForEachPort(listeners) {
            for record in try sockets(of: one.transport, family: one.address.family, on: one.address.port)
            where listeners.contains(where: { $0.cookie == record.cookie }) {
                result += Int(record.acceptQueue)
            }
        }
        if listeners.contains(where: { $0.transport == .unix }) {
            for record in try listeningUnixSockets() where listeners.contains(where: { $0.cookie == record.cookie }) {
                result += Int(record.acceptQueue)
            }
        }
    }
    return result
}

/// Of all that the kernel tells of together, one: the Internet sockets of a transport, family and port.
private func oneForEachPort(_ listeners: [ListenerIdentity]) -> [ListenerIdentity] {
    var result: [ListenerIdentity] = []
    for one in listeners where one.transport != .unix {
        if !result.contains(where: {
            $0.transport == one.transport && $0.address.family == one.address.family
                && $0.address.port == one.address.port
        }) {
            result.append(one)
        }
    }
    return result
}
