import CLinux

// Copies whose processes have gone while others have their listeners: a server that has executed itself anew and left
// the listener to the new process, or something that the copy had started and that never accepts.

/// Ends what is left of copies with these numbers, or of all, which get no connections any more. Nobody is told to keep them down, so that
/// their supervisors may start them again.
@inline(never)
func endAbandoned(
    _ numbers: [Int]?, of generation: UInt64, in registry: Registry, _ report: Reporter
) throws(Failure) {
    // A coordinator ends its own copies, and may still hold their listeners.
    func isLeft(_ copy: CopyRecord) -> Bool {
        copy.state == .abandoned && copy.helper == nil && numbers?.contains(copy.copy) ?? true
    }
    guard AppState.reconciled(registry).copies(of: generation).contains(where: isLeft) else { return }
    // Writing them down takes them out of the groups.
    let left = try registry.change { state in state.copies(of: generation).filter(isLeft) }
    let ending = Ending(
        drain: .none, turn: .seconds(10), stopTimeoutAtMost: .seconds(2), tellsSupervisors: false)
    try endCopies(left, of: generation, ending, in: registry, report)
}

extension AppState {
    /// Whether a listener of a copy that has just ended is in nobody's hands: an io_uring lets go of it in a moment.
    fileprivate var mayVanish: Bool {
        let new = copies.filter { $0.state == .abandoned && $0.isNew }
        guard !new.isEmpty, let open = try? openListeners(of: new), !open.isEmpty else { return false }
        return (try? holders(ofSocketInodes: open.map { $0.inode }))?.found.isEmpty == true
    }
}

extension Registry {
    /// Reads what is known of the app, having found out what has become of the live copies whose processes have gone.
    ///
    /// Their listeners get no connections any more. Where somebody accepts a probe, a successor has the place of the
    /// copy from now on. Readers that may not do this only see that the copies are abandoned.
    func settled() -> AppState {
        var state = AppState.reconciled(self)
        let soon = Deadline(after: .seconds(1))
        var pause = Pause()
        while state.mayVanish, !soon.hasPassed {
            pause.wait(until: soon)
            state = AppState.reconciled(self)
        }
        // Suspended copies accept nothing.
        guard let live = state.app.live, state.app.suspended != live.id else { return state }
        let new = state.copies(of: live.id).filter { $0.state == .abandoned && $0.helper == nil && $0.isNew }
        if new.isEmpty { return state }
        do throws(Failure) { try change { _ in } } catch { return state }
        for copy in new { try? replaceBySuccessor(copy, of: live) }
        return AppState.reconciled(self)
    }

    /// Gives the place of an abandoned copy to the process that accepts connections in its stead.
    private func replaceBySuccessor(_ copy: CopyRecord, of live: GenerationRecord) throws(Errno) {
        let identities = copy.listeners.map { $0.identity }
        guard identities.contains(where: { $0.transport != .udp }) else { return }
        let open = try openListeners(identities).map { $0.inode }
        // The oldest is the master of the others. A program can hand its listener to any process of the host, which then
        // would be stopped in its stead: it has to be its own user's, unless that is root, or of its group.
        let user = copy.user ?? geteuid()
        let members = copy.group.map { processes(of: $0.group) } ?? []
        let heirs = try holders(ofSocketInodes: open).found.map { $0.process }.filter { heir in
            user == 0 || members.contains(heir) || (try? userID(of: heir.pid)) == user
        }
        guard let master = heirs.first(where: { $0.pid > 1 }) else { return }
        let process = try ProcessHandle(to: master)
        var held = OwnedArray<Placement>()
        try withBorrowed(identities[...], &held, until: Deadline(after: .seconds(4))) { held in
            try? replace(copy, by: process, among: heirs, of: live, held)
        }
    }

    private func replace(
        _ copy: CopyRecord, by process: borrowing ProcessHandle, among heirs: [ProcessIdentity],
        of live: GenerationRecord,
        _ held: borrowing OwnedArray<Placement>
    ) throws(Failure) {
        let deadline = Deadline(after: .seconds(1))
        let check = ReadinessCheck(
            readiness: .accept, listeners: copy.listeners.map { $0.identity }, deadline: deadline, report: { _ in })
        let isSteered = AppState(readingAppOf: self).app.steering != .off
        var watch = Watch(check, of: process)
        do throws(NotReady) {
            try awaitAcceptance(byAll: check.listeners, &watch) { (index) throws(Failure) in
                let listener = copy.listeners[index]
                return isSteered || !listener.isInGroup
                    ? try probe(listener, held: held[index].source)
                    : try probeUnsteered(
                        listener.identity, held: held[index].source, acceptedBy: heirs, until: deadline)
            }
        } catch {
            return
        }
        // It may have ended just after it had accepted.
        if process.hasExited { return }
        try change { (state: AppState) throws(Failure) in
            guard let record = state.known(copy), record.process == copy.process, record.state == .abandoned,
                state.app.live?.id == live.id
            else { return }
            record.startedAs = record.startedAs ?? record.process.pid
            (record.process, record.state, record.reason) = (process.identity, .live, nil)
            state.replace(record)
            try state.place(record, of: state.listeners(of: live), held: held)
            try state.grow(live, by: record, held: held)
        }
    }
}

/// Connects to a listener that is not steered until one of these processes has accepted it: others of its group accept
/// as well.
private func probeUnsteered(
    _ identity: ListenerIdentity, held: borrowing Descriptor, acceptedBy heirs: [ProcessIdentity],
    until deadline: Deadline
) throws(Failure) -> Descriptor {
    while !deadline.hasPassed {
        var probe = try Probe(of: identity, held: held)
        probe.connect()
        let socket = try probe.takeSocket(identity, held: held)
        var pause = Pause()
        let soon = min(deadline, Deadline(after: Milliseconds(50)))
        while !soon.hasPassed {
            if let remote = try? remoteAddress(of: socket), let local = try? localAddress(of: socket),
                let record = try? connection(from: remote, to: local, interface: 1), record.inode != 0,
                let found = try? holders(ofSocketInodes: [record.inode]).found
            {
                for one in found where heirs.contains(one.process) { return socket }
                if !found.isEmpty { break }
            }
            pause.wait(until: soon)
        }
    }
    throw unsteered
}

/// Lets `use` have duplicates of these listeners, in an expendable process that has borrowed one after the other.
private func withBorrowed(
    _ identities: ArraySlice<ListenerIdentity>, _ held: inout OwnedArray<Placement>, until deadline: Deadline,
    _ use: (borrowing OwnedArray<Placement>) -> Void
) throws(Errno) {
    guard let first = identities.first else { return use(held) }
    try borrowListener(first, until: deadline) { (socket) throws(Errno) in
        held.append(Placement(source: try socket.duplicate(), target: 0))
        try withBorrowed(identities.dropFirst(), &held, until: deadline, use)
    }
}
