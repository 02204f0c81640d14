import CLinux

// Steps that let copies which get no new connection finish what they have got, before they are told to stop.

/// Waits until handshakes under way have ended: for as long as the new generation or the copies themselves say by
/// `--settle`. What moves to another listener with its queue needs no time.
func awaitHandshakes(of copies: [CopyRecord], settle: Milliseconds?, moves: Bool) {
    var time = settle ?? Steering.settleTime(movesQueued: moves)
    for copy in copies { time = max(time, copy.settle ?? time) }
    let deadline = Deadline(after: time)
    // The kernel tells nobody of handshakes.
    while !deadline.hasPassed { _ = poll(nil, 0, deadline.pollTimeout) }
}

/// Waits until what is queued is accepted, and datagrams are read. Returns what is left of `patience`, so that copies
/// which accept nothing are waited for once only.
func awaitAccepted(
    by copies: [CopyRecord], within patience: Milliseconds, moves: Bool
) throws(Failure) -> Milliseconds {
    var patience = moves ? Milliseconds(20) : patience
    for copy in copies { patience = min(patience, copy.stopTimeout) }
    let listeners = copies.flatMap { $0.listeners.map { $0.identity } }
    let deadline = Deadline(after: patience)
    try watch(until: deadline) { () throws(Failure) in try queued(listeners) == 0 }
    return deadline.remaining
}

/// Waits until something is read of each connection that is there now, since some programs drop what they have
/// accepted when they stop: half a second at most, because some clients say nothing.
///
/// A request comes a moment after the handshake, and the server may have accepted in between. If it is lost on the way
/// it comes again after 200 ms (TCP_RTO_MIN) and more. The new generation's connections are waited for too, which takes
/// no longer: telling them apart would need a search in /proc.
///
/// To list connections the kernel looks at all of the host, which takes milliseconds on a busy one, so it is asked for
/// the list once, and after that for one at a time.
func awaitRead(by copies: [CopyRecord]) {
    var unread: [SocketRecord] = []
    for listener in oneForEachPort(copies.flatMap { $0.listeners.map { $0.identity } })
    where listener.transport == .tcp {
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

/// Waits until something is so, or it takes too long. The kernel has no event for what is asked here.
private func watch<Reason: Error>(
    until deadline: Deadline, _ isSo: () throws(Reason) -> Bool
) throws(Reason) {
    var pause: Int32 = 1
    while !(try isSo()) && !deadline.hasPassed {
        _ = poll(nil, 0, pause)
        pause = min(pause + 1, 5)
    }
}

/// Counts connections that wait to be accepted, and bytes of datagrams to be read: 0 only if there is neither.
private func queued(_ listeners: [ListenerIdentity]) throws(Failure) -> Int {
    let cookies = listeners.map { $0.cookie }
    var result = 0
    try step("read", "the accept queues") { () throws(Errno) in
        for one in oneForEachPort(listeners) {
            for record in try sockets(of: one.transport, family: one.address.family, on: one.address.port)
            where cookies.contains(record.cookie) {
                result += Int(record.acceptQueue)
            }
        }
        if listeners.contains(where: { $0.transport == .unix }) {
            for record in try listeningUnixSockets() where cookies.contains(record.cookie) {
                result += Int(record.acceptQueue)
            }
        }
    }
    return result
}

/// Picks one Internet socket of each transport, family and port: the kernel tells of all such at once.
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
