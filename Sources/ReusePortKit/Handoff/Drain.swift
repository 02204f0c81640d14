import CLinux

// Drains copies that get no new connections, before they are told to stop: with `--drain` their connections end. Then in
// three steps: their handshakes end, they accept what is queued, and they read what they have accepted.
//
// `moves`: whatever is queued at a listener moves to another one when it closes, so it needs little time or none.

/// Waits until copies have no connections any more, for `--drain` at most: the longest of the new generation and of the
/// copies. Programs that know nothing of the stop signal lose none then. Copies that stand still finish nothing.
func awaitConnections(
    of copies: [CopyRecord], within time: Milliseconds, settle: Milliseconds?, _ registry: Registry?
) {
    var time = time
    for copy in copies { time = max(time, copy.drain) }
    if time.count == 0 { return }
    let deadline = Deadline(after: time)
    let others = registry.map { AppState.reconciled($0).supervisors(sparing: copies) }
    var running: [CopyRecord] = []
    for copy in copies {
        guard let status = try? ProcessStatus(of: copy.process.pid), status.identity == copy.process, !status.isStopped
        else { continue }
        running.append(copy)
        // A copy that crashes meanwhile must not be started again, or it would take over.
        if let others, let supervisor = copy.supervisor, !others.contains(supervisor), supervisor.serviceFolder != nil,
            (try? commandName(of: status.parent)) == supervisor.processName
        {
            _ = try? supervisor.tell(.once, searchPath: safeSearchPath)
        }
    }
    awaitHandshakes(of: copies, settle: settle, moves: false)
    awaitCondition(until: deadline, longestPause: 250) { !haveConnections(running) }
}

/// Whether copies, or what they have started, have connections; true if that cannot be seen.
private func haveConnections(_ copies: [CopyRecord]) -> Bool {
    let listeners = identities(of: copies)
    if (try? queued(listeners)) != 0 { return true }
    var inodes: [UInt64] = []
    for one in connections(to: listeners) { inodes.append(one.inode) }
    for listener in listeners where listener.transport == .unix {
        for one in (try? listeningUnixSockets(or: .established)) ?? []
        where listener.address == .unix(one.path) && listener.cookie != one.cookie {
            inodes.append(one.inode)
        }
    }
    for copy in copies {
        var processes = descendants(of: copy.process, in: ProcFileSystem())
        processes.append(copy.process)
        if let group = copy.group { processes += ReusePortKit.processes(of: group.group) }
        for process in processes {
            do throws(Errno) {
                let open = try socketInodes(of: process)
                for inode in inodes where open.contains(inode) { return true }
            } catch {
                if error == .accessDenied || error == .notPermitted { return true }
            }
        }
    }
    return false
}

/// Lists the connections to TCP listeners, which may have unread data; or those of them that are wanted.
func connections(
    to listeners: [ListenerIdentity], _ states: SocketStates = .receiving,
    where isWanted: ((SocketRecord) -> Bool)? = nil
) -> [SocketRecord] {
    var result: [SocketRecord] = []
    for one in oneForEachPort(listeners) where one.transport == .tcp {
        let found = try? internetSockets(
            .tcp, family: one.address.family, states: states, localPort: one.address.port, where: isWanted)
        result += found ?? []
    }
    return result
}

// Not inlined: saves 1 kB.
@inline(never)
private func identities(of copies: [CopyRecord]) -> [ListenerIdentity] {
    copies.flatMap { $0.listeners.map { $0.identity } }
}

/// Waits until handshakes under way have ended: for the longest `--settle` of the new generation and of the copies, and
/// for those that have not ended by then up to 1.5 s in all. An answer that was lost on its way is sent again after 1 s.
///
/// `settle`: the new generation's; nil: as long as handshakes usually take, or no time if they move.
func awaitHandshakes(of copies: [CopyRecord], settle: Milliseconds?, moves: Bool) {
    var time = settle ?? Steering.settleTime(movesQueued: moves)
    for copy in copies { time = max(time, copy.settle ?? time) }
    if time.count == 0 { return }
    let deadline = Deadline(after: time)
    let longest = Deadline(after: max(time, Milliseconds(1500)))
    // Those with the new generation at the same port are among them. They take no longer.
    var pending = moves ? [] : connections(to: identities(of: copies), SocketStates(.synReceived))
    // The kernel tells nobody of handshakes.
    while !deadline.hasPassed { _ = poll(nil, 0, deadline.pollTimeout) }
    awaitCondition(until: longest) {
        while let last = pending.last {
            if isInHandshake(last) { return false }
            pending.removeLast()
        }
        return true
    }
}

/// Waits until what is queued is accepted, and datagrams are read, for no longer than the shortest stop timeout.
/// Returns what is left of `patience`, so that a caller who waits again for copies that accept nothing does not wait
/// twice as long.
@inline(never)
func awaitAccepted(
    by copies: [CopyRecord], within patience: Milliseconds, moves: Bool
) throws(Failure) -> Milliseconds {
    // What moves is not lost, so it is waited for only briefly.
    var patience = moves ? Milliseconds(20) : patience
    for copy in copies { patience = min(patience, copy.stopTimeout) }
    let listeners = identities(of: copies)
    let deadline = Deadline(after: patience)
    try awaitCondition(until: deadline) { () throws(Failure) in try queued(listeners) == 0 }
    return deadline.remaining
}

/// Waits until something is read of each connection that is there now, because some programs drop connections that they
/// have accepted but not read when they stop. Waits for half a second at most, because some clients say nothing.
///
/// A request comes a moment after the handshake, and the server may have accepted in between. If it is lost on the way
/// it comes again after 200 ms (TCP_RTO_MIN) and more. The new generation's connections are waited for too, which takes
/// no longer: telling them apart would need a search in /proc.
///
/// To list connections the kernel looks at all of the host, which takes milliseconds on a busy one, so it is asked for
/// the list once, and after that for one at a time.
func awaitRead(by copies: [CopyRecord]) {
    var unread = connections(to: identities(of: copies)) { $0.isUnread }
    awaitCondition(until: Deadline(after: Milliseconds(500))) {
        while let last = unread.last {
            if (try? isUnread(last)) ?? false { return false }
            unread.removeLast()
        }
        return true
    }
}

/// Waits until a condition holds, or the deadline has passed. Asks every few milliseconds, because the kernel has no
/// event for accept queues that others empty.
private func awaitCondition<Reason: Error>(
    until deadline: Deadline, longestPause: Int32 = 5, _ holds: () throws(Reason) -> Bool
) throws(Reason) {
    var pause: Int32 = 1
    while !(try holds()) && !deadline.hasPassed {
        _ = poll(nil, 0, min(pause, deadline.pollTimeout))
        pause = min(pause + 1, longestPause)
    }
}

/// Counts connections that wait to be accepted, and bytes of datagrams to be read: 0 only if there is neither.
@inline(never)
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

/// Picks one Internet socket of each transport, family and port, because the kernel answers for all such at once.
private func oneForEachPort(_ listeners: [ListenerIdentity]) -> [ListenerIdentity] {
    var result: [ListenerIdentity] = []
    for one in listeners where one.transport != .unix {
        let (family, port) = (one.address.family, one.address.port)
        if !result.contains(where: {
            $0.transport == one.transport && $0.address.family == family && $0.address.port == port
        }) {
            result.append(one)
        }
    }
    return result
}
