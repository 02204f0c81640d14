import CLinux

extension Coordinator {
    /// Drains and retires the old generation, and what earlier handoffs left unfinished.
    func retireOthers(_ old: Predecessor?) {
        do throws(Failure) {
            if let old { try retire(old) }
            try endOldest()
        } catch {
            report(.problem(error))
        }
    }

    private func retire(_ old: Predecessor) throws(Failure) {
        let label = old.generation.label
        report(.draining(label))
        let keeps = request.keepRetired > 0
        var ending = Ending(
            drain: .accepted(settle: request.settle), connections: request.drain, turn: .seconds(60),
            keepsFinishing: keeps, moves: old.moves,
            outcome: .replaced(by: generation.label), follow: followByOwn)
        ending.choose = { [self] state in
            report(.drained(label))
            report(.retiring(label))
            // Copies that have crashed are stopped too, because their supervisors are about to start them again; not
            // those that `scale` has taken away.
            let count = state.app.generation(old.generation.id)?.copies ?? old.generation.copies
            let copies = state.copies(of: old.generation.id).filter {
                $0.state != .ended || $0.supervisor != nil && $0.copy < count
            }
            keepPaths(from: copies, state)
            return copies
        }
        let outcomes = try endCopies(old.copies, of: old.generation.id, ending, in: registry, report)
        if !outcomes.isEmpty { report(.retired(label, RetireOutcome(outcomes))) }
    }

    /// Ends copies of generations that failed, which a coordinator has left when it was killed.
    ///
    /// This comes before the cutover, while their places in the group are behind those of the live copies, so that no
    /// live copy moves.
    func endFailedGenerations() throws(Failure) {
        // A generation that has failed may still be recorded as starting: reconciling finds out.
        let others = (registry.loadApp()?.generations ?? []).filter { $0.id != generation.id }
        guard others.contains(where: { $0.state == .failed || $0.state == .starting }) else { return }
        try AppState.reconciled(registry).endFailedGenerations(
            settle: request.settle, in: registry, report, follow: followByOwn)
    }

    /// Redirects the groups to the live generation, by the first member's listeners.
    private func followByOwn(_ state: AppState) throws(Failure) {
        try state.rollBack(members[0].record.listeners, held: members[0].copy.sockets)
    }

    /// Ends retired generations beyond `--keep-retired`, and copies that an interrupted handoff left behind.
    private func endOldest() throws(Failure) {
        guard (registry.loadApp()?.generations.count ?? 0) > 1 else { return }
        let state = AppState.reconciled(registry)
        var kept = 0
        for other in state.app.generations.reversed() where other.id != generation.id {
            let running = state.running(other.id)
            if running.isEmpty { continue }
            switch other.state {
            case .live, .starting: continue
            case .retired:
                kept += 1
                if kept <= request.keepRetired { continue }
            case .retiring, .failed, .ended: break
            }
            let isListening = state.havePlace(running)
            report(.endingOld(other.label))
            // A handoff that was killed may have left connections in their queues for which nobody has waited. What a lost
            // registry has left may have served until now.
            let mayServe = other.outcome == .recovered || other.state == .retiring
            let ending = Ending(
                drain: mayServe ? .accepted(settle: request.settle) : .acceptedWithoutSettling,
                turn: isListening ? .seconds(60) : nil,
                moves: state.movesQueued(from: running, to: generation.id), outcome: .replaced(by: generation.label),
                follow: followByOwn)
            try endCopies(running, of: other.id, ending, in: registry, report)
        }
    }
}

extension RetireOutcome {
    /// Sums up how the copies of a generation have stopped.
    init(_ outcomes: [StopOutcome]) {
        self = .gone
        for one in outcomes {
            if one == .retired, self == .gone { self = .finishing }
            if case .refused = one { self = .stillThere }
        }
    }
}

extension AppState {
    var failedThatRun: [GenerationRecord] { app.generations.filter { $0.state == .failed && !running($0.id).isEmpty } }

    /// Ends the copies of generations that failed. They serve nobody, or served for a moment between a cutover and the
    /// kill of their coordinator.
    func endFailedGenerations(
        settle: Milliseconds?, in registry: Registry, _ report: Reporter,
        follow: ((AppState) throws(Failure) -> Void)? = nil
    ) throws(Failure) {
        for failed in failedThatRun {
            report(.endingFailed(failed.label))
            let ending = Ending(
                drain: .acceptedUnlessMoved(settle: settle), turn: .seconds(10), stopTimeoutAtMost: .seconds(2),
                follow: follow)
            try endCopies(running(failed.id), of: failed.id, ending, in: registry, report)
        }
    }
}
