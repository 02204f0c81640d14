import CLinux

extension Handoff {
    /// Drains and retires the old generation, and whatever an earlier helper left unfinished.
    func retireOthers(
        _ enrolment: borrowing Enrolment, _ sockets: borrowing OwnedArray<Placement>, _ old: Predecessor?
    ) {
        do throws(Failure) {
            if let old {
                show("draining generation \(old.generation.label)")
                let turn = turnInGroups(enrolment, .seconds(60))
                let left = try drain(enrolment, old)
                try retire(enrolment, sockets, old.generation, moves: old.moves, patience: left)
                turn.release()
            }
            try endTheOldest(enrolment, sockets)
        } catch {
            log.warning(error.message)
        }
    }

    /// Waits until connections that the old listeners have already are accepted.
    private func drain(_ enrolment: borrowing Enrolment, _ old: Predecessor) throws(Failure) -> Milliseconds {
        // Those that stand still accept nothing of what waits for them.
        if !old.moves { for copy in old.copies { try? resume(copy.process) } }
        let left = try awaitDrained(old.copies, moves: old.moves, settle: enrolment.request.settle)
        log.detail("at \(MonotonicClock.microseconds) us: generation \(old.generation.label) is drained")
        return left
    }

    /// Stops the old copies: all at once where the maps direct the connections, one by one where places in the group
    /// do.
    private func retire(
        _ enrolment: borrowing Enrolment, _ sockets: borrowing OwnedArray<Placement>, _ old: GenerationRecord,
        moves: Bool, patience: Milliseconds
    ) throws(Failure) {
        let keep = enrolment.request.keepRetired
        let state = AppState.mended(enrolment.registry)
        say("generation \(old.label) is told to stop")
        // Also of those that have crashed: their supervisors are about to start them again. Not of those that scale has
        // taken away.
        let count = state.app.generation(old.order)?.copies ?? old.copies
        let toStop = state.copies(of: old.order).filter {
            $0.state != .ended || $0.supervisor != nil && $0.copy < count
        }
        keepPaths(enrolment, from: toStop, state)
        let (copies, outcomes) = try end(toStop, enrolment, sockets, patience: patience) {
            stopOrder(for: $0, keepsFinishing: keep > 0, moves: moves)
        }
        var ending: ByteString = "has gone"
        for outcome in outcomes {
            if outcome == .retired { ending = "has closed its listeners and finishes" }
            if case .refused = outcome {
                ending = "has not gone"
                break
            }
        }
        try finish(enrolment, old, copies, outcomes)
        say("generation \(old.label) \(ending)")
    }

    /// Stops copies, and answers them with what has become of each.
    private func end(
        _ copies: [CopyRecord], _ enrolment: borrowing Enrolment, _ sockets: borrowing OwnedArray<Placement>,
        patience: Milliseconds, _ order: (CopyRecord) -> StopOrder
    ) throws(Failure) -> ([CopyRecord], [StopOutcome]) {
        let state = AppState.mended(enrolment.registry)
        let sparing = state.supervisors(sparing: copies)
        guard case .index? = state.app.steering else {
            return (copies, try stop(copies.map(order), sparing: sparing, report: log.report))
        }
        // Each hole is filled by the last member, mostly a new copy. Until the program is told, its share is dealt out
        // by the kernel's hash, also to old copies that are still there: so handshakes have the settle time again.
        var stopped: [CopyRecord] = []
        var outcomes: [StopOutcome] = []
        var patience = patience
        for together in state.inOrderOfStopping(copies) {
            let mayHaveMore = !stopped.isEmpty && state.lastPlace(of: together[0]) != nil
            // Of many copies each would wait for clients that say nothing.
            patience = try awaitDrained(
                together, moves: false, settle: enrolment.request.settle, hasSettled: !mayHaveMore, reads: false,
                patience: patience)
            stopped += together
            outcomes += try stop(together.map(order), sparing: sparing, report: log.report)
            do throws(Failure) {
                try follow(enrolment, sockets)
            } catch {
                // No reason to leave the others as they are.
                log.warning(error.message)
            }
        }
        return (stopped, outcomes)
    }

    /// Ends copies that a helper which was killed has left behind, and that served nobody, or for the moment only
    /// between the cutover and the killing.
    ///
    /// Before the cutover: at level 2 their places are behind those of the live copies then, and nobody moves.
    func sweep(_ enrolment: borrowing Enrolment) throws(Failure) {
        // That they have failed may not be written down yet: the launcher does so when it has started its helper.
        let others = (enrolment.registry.loadApp()?.generations ?? []).filter { $0.order != order }
        guard others.contains(where: { $0.state == .failed || $0.state == .starting }) else { return }
        let state = AppState.mended(enrolment.registry)
        for generation in state.app.generations where generation.state == .failed {
            let left = state.running(generation.order)
            if left.isEmpty { continue }
            say("generation \(generation.label), which failed, is ended")
            let turn = turnInGroups(enrolment, .seconds(10))
            // Nothing moves what they have got. The program has directed connections to the live ones since we listen.
            if case .index? = state.app.steering {
                try awaitDrained(left, moves: false, settle: enrolment.request.settle)
            }
            let orders = left.map { copy in
                var order = stopOrder(for: copy, keepsFinishing: false)
                order.stopTimeout = min(order.stopTimeout, .seconds(2))
                return order
            }
            let outcomes = try stop(orders, sparing: state.supervisors(sparing: left), report: log.report)
            turn.release()
            try finish(enrolment, generation, left, outcomes)
        }
    }

    /// Level 2: the groups have changed.
    private func follow(_ enrolment: borrowing Enrolment, _ sockets: borrowing OwnedArray<Placement>) throws(Failure) {
        let lock = try enrolment.registry.lock()
        var state = AppState.mended(enrolment.registry)
        guard case .index? = state.app.steering, let live = state.app.live else { return }
        do throws(Failure) {
            try state.redirect(to: live.order, enrolment.record.listeners.map { $0.identity }, sockets)
        } catch {
            // Ours are closed when the copy has ended: then it takes another's.
            try state.redirect(to: live.order)
        }
        try state.store(in: enrolment.registry)
        lock.release(closing: ())
    }

    /// Writes down what has become of a generation that was stopped.
    private func finish(
        _ enrolment: borrowing Enrolment, _ old: GenerationRecord, _ copies: [CopyRecord], _ outcomes: [StopOutcome]
    ) throws(Failure) {
        try enrolment.registry.change { state in
            state.note(copies, outcomes, of: old.order, reason: "generation \(label) took over")
        }
    }

    /// Ends retired generations beyond those that are kept, and copies that an interrupted handoff left behind.
    private func endTheOldest(
        _ enrolment: borrowing Enrolment, _ sockets: borrowing OwnedArray<Placement>
    ) throws(Failure) {
        guard (enrolment.registry.loadApp()?.generations.count ?? 0) > 1 else { return }
        let state = AppState.mended(enrolment.registry)
        var kept = 0
        for generation in state.app.generations.reversed() where generation.order != order {
            let running = state.running(generation.order)
            if running.isEmpty { continue }
            switch generation.state {
            case .live, .starting: continue
            case .retired:
                kept += 1
                if kept <= enrolment.request.keepRetired { continue }
            case .retiring, .failed, .ended: break
            }
            let isListening = running.contains { state.lastPlace(of: $0) != nil }
            let turn = isListening ? turnInGroups(enrolment, .seconds(60)) : nil
            // What a handoff that was killed has left may have connections that nobody waited for.
            let moves = state.moves(running, to: order)
            let patience = try awaitDrained(running, moves: moves, hasSettled: true)
            say("generation \(generation.label) is ended")
            let (copies, outcomes) = try end(running, enrolment, sockets, patience: patience) {
                stopOrder(for: $0, keepsFinishing: false, moves: moves)
            }
            turn.release()
            try finish(enrolment, generation, copies, outcomes)
        }
    }
}

/// What is to be done to stop a copy.
func stopOrder(for copy: CopyRecord, keepsFinishing: Bool, moves: Bool = false) -> StopOrder {
    var order = StopOrder(
        process: copy.process, listeners: copy.listeners.map { $0.identity }, supervisor: copy.supervisor,
        stopSignal: copy.stopSignal, stopTimeout: copy.stopTimeout, keepsFinishing: keepsFinishing, nice: copy.nice)
    order.sharesLimit = copy.group != nil
    order.moves = moves
    order.channel = copy.channel
    return order
}

extension AppState {
    /// Who supervises other copies than these.
    func supervisors(sparing stopped: [CopyRecord]) -> [Supervisor] {
        copies.filter { copy in copy.state != .ended && !stopped.contains { $0.fileName == copy.fileName } }
            .compactMap { $0.supervisor }
    }

    /// Takes over what stopping the copies of a generation has led to.
    mutating func note(
        _ stopped: [CopyRecord], _ outcomes: [StopOutcome], of generation: UInt64, reason: ByteString
    ) {
        var remaining = 0
        for index in stopped.indices {
            guard var record = copies.first(where: { $0.fileName == stopped[index].fileName }) else { continue }
            switch outcomes[index] {
            case .alreadyGone: record.state = .ended
            case .exited: (record.state, record.reason) = (.ended, toldToStop)
            case .killed(let why): (record.state, record.reason) = (.ended, "killed: \(why.description)")
            case .retired: (record.state, remaining) = (.retired, remaining + 1)
            case .refused(let refusal):
                (record.state, record.reason, remaining) = (.stopping, refusal.description, remaining + 1)
            }
            replace(record)
        }
        let failed = app.generation(generation)?.state == .failed
        if failed { return }
        finish(generation, remaining > 0 ? .retired : .ended, reason)
    }
}
