import CLinux

/// How ready members have entered their generation.
enum Entry {
    /// Their generation was live already: they have taken their places in it.
    case joined
    /// They were the last: their generation is live now, in place of the old one.
    case cutOver(Predecessor?)
    /// Other copies of their generation are not ready yet.
    case waiting
}

/// The generation from which another one has just taken over.
struct Predecessor {
    let generation: GenerationRecord
    /// Its copies that run.
    let copies: [CopyRecord]
    /// Whether its copies stand still, so that they could not serve again at once.
    let isSuspended: Bool
    /// Whether connections that wait at them move to the new generation when they close their listeners.
    let moves: Bool
}

extension Coordinator {
    /// Registers members as ready, and cuts over if they are the last of their generation, all under the app's lock.
    func enter(_ range: Range<Int>) throws(StepFailure) -> Entry {
        let lock = try handoffStep { () throws(Failure) in try registry.lock() }
        let state = AppState.reconciled(registry)
        let current = try generationToEnter(state)
        var entering: [CopyRecord] = []
        for index in range { entering.append(try readyRecord(of: index, state)) }
        let isSuspended = state.app.suspended == generation.id
        let result = try handoffStep { () throws(Failure) -> Entry in
            // Before anything is switched, so that all connections find room.
            if isSuspended || state.app.suspending == generation.label { try widenFirst(range) }
            if isSuspended {
                try suspend(entering)
            } else if current.state == .live {
                wake(state)
            }
            let listeners = state.listeners(of: current)
            for (offset, record) in entering.enumerated() {
                try state.place(record, of: listeners, held: members[range.lowerBound + offset].copy.sockets)
            }
            let result =
                current.state == .live
                ? try admit(entering, current, range, state) : try cutOver(current, range, state)
            try state.store(in: registry)
            return result
        }
        lock.release(closing: ())
        return result
    }

    /// The generation as it is by now; fails if members cannot enter it any more.
    private func generationToEnter(_ state: AppState) throws(StepFailure) -> GenerationRecord {
        let known = state.app.generation(generation.id)
        guard let current = known, current.state == .starting || current.state == .live else {
            throw .generation(GenerationOutcome(whyClosed: known))
        }
        return current
    }

    /// Registers a member as ready.
    private func readyRecord(of index: Int, _ state: AppState) throws(StepFailure) -> CopyRecord {
        guard let record = state.known(members[index].record) else {
            throw .member(index, EndReason(.handoff, "it was removed from the registry"))
        }
        if members[index].copy.process.hasExited { throw .member(index, reason(of: index)) }
        record.state = .ready
        // Others wait for helpers, which therefore stay known until they are done, but not for a command.
        if role == .command { record.helper = nil }
        state.replace(record)
        return record
    }

    /// Widens the backlogs of the first of these members.
    private func widenFirst(_ range: Range<Int>) throws(Failure) {
        for (which, listener) in members[range.lowerBound].record.listeners.enumerated() {
            _ = try widenBacklog(members[range.lowerBound].copy.sockets[which].source, of: listener)
        }
    }

    /// Gives connections to members of a live generation.
    private func admit(
        _ entering: [CopyRecord], _ current: GenerationRecord, _ range: Range<Int>, _ state: AppState
    ) throws(Failure) -> Entry {
        try state.preparePaths(of: entering)
        for record in entering {
            let record = record.copied
            record.state = .live
            state.replace(record)
            try state.grow(current, by: record, held: members[range.lowerBound].copy.sockets)
        }
        return .joined
    }

    /// Cuts over to the generation if all its copies are ready.
    private func cutOver(
        _ current: GenerationRecord, _ range: Range<Int>, _ state: AppState
    ) throws(Failure) -> Entry {
        guard state.isComplete(current) else { return .waiting }
        // Whatever can fail comes before the switch, which is not undone.
        try state.preparePaths(of: state.running(current.id))
        let old = state.app.live
        let wasSuspended = old != nil && state.app.suspended == old?.id
        let isSuspended = request.isSuspended || state.app.suspending == current.label
        if isSuspended { try suspend(state.running(current.id)) } else { wake(state) }
        try state.cutOver(
            to: current, members[range.lowerBound].record.listeners, held: members[range.lowerBound].copy.sockets)
        state.makeLive(current.id)
        if isSuspended { state.app.suspended = current.id }
        report(.tookOver(from: old?.label))
        guard let old else { return .cutOver(nil) }
        let copies = state.running(old.id)
        return .cutOver(
            Predecessor(
                generation: old, copies: copies, isSuspended: wasSuspended,
                moves: state.movesQueued(from: copies, to: current.id)))
    }

    /// Tells copies that were started suspended to go on, if the generation is not suspended any more.
    private func wake(_ state: AppState) {
        if let failure = state.wake(generation.id) { report(.problem(failure)) }
    }
}
