import CLinux

extension Coordinator {
    /// Drains and retires the old generation, and what earlier handoffs left unfinished.
    borrowing func retireOthers(_ old: Predecessor?) {
        do throws(Failure) {
            if let old { try retire(old) }
            try endOldest()
        } catch {
            report(.problem(error))
        }
    }

    private borrowing func retire(_ old: Predecessor) throws(Failure) {
        let label = old.generation.label
        report(.draining(label))
        let keeps = request.keepRetired > 0
        let ending = Ending(
            drain: .accepted(settle: request.settle), turn: .seconds(60), keepsFinishing: keeps, moves: old.moves,
            outcome: .replaced(by: generation.label))
        let outcomes = try endCopies(
            old.copies, of: old.generation.id, ending, in: registry, report,
            choose: { state, _ in
                report(.drained(label))
                report(.retiring(label))
                // Copies that have crashed are stopped too, because their supervisors are about to start them again;
                // not those that `scale` has taken away.
                let count = state.app.generation(old.generation.id)?.copies ?? old.generation.copies
                let copies = state.copies(of: old.generation.id).filter {
                    $0.state != .ended || $0.supervisor != nil && $0.copy < count
                }
                keepPaths(from: copies, state)
                return copies
            },
            follow: { (state: inout AppState) throws(Failure) in
                try state.rollBack(members[0].record.listeners, held: members[0].copy.sockets)
            })
        var outcome = RetireOutcome.gone
        for one in outcomes {
            if one == .retired, outcome == .gone { outcome = .finishing }
            if case .refused = one { outcome = .stillThere }
        }
        report(.retired(label, outcome))
    }

    /// Ends copies of generations that failed, which a coordinator has left when it was killed. They serve nobody, or
    /// served for a moment between a cutover and the kill.
    ///
    /// This comes before the cutover, while their places in the group are behind those of the live copies, so that no
    /// live copy moves.
    borrowing func endFailedGenerations() throws(Failure) {
        // A generation that has failed may still be recorded as starting: reconciling finds out.
        let others = (registry.loadApp()?.generations ?? []).filter { $0.id != generation.id }
        guard others.contains(where: { $0.state == .failed || $0.state == .starting }) else { return }
        let state = AppState.reconciled(registry)
        for failed in state.app.generations where failed.state == .failed {
            let left = state.running(failed.id)
            if left.isEmpty { continue }
            report(.endingFailed(failed.label))
            let ending = Ending(
                drain: .acceptedUnlessMoved(settle: request.settle), order: .together, turn: .seconds(10),
                stopTimeoutAtMost: .seconds(2))
            try endCopies(left, of: failed.id, ending, in: registry, report)
        }
    }

    /// Ends retired generations beyond `--keep-retired`, and copies that an interrupted handoff left behind.
    private borrowing func endOldest() throws(Failure) {
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
            // A handoff that was killed may have left connections in their queues for which nobody has waited.
            let ending = Ending(
                drain: .acceptedWithoutSettling, turn: isListening ? .seconds(60) : nil,
                moves: state.movesQueued(from: running, to: generation.id), outcome: .replaced(by: generation.label))
            try endCopies(
                running, of: other.id, ending, in: registry, report,
                follow: { (state: inout AppState) throws(Failure) in
                    try state.rollBack(members[0].record.listeners, held: members[0].copy.sockets)
                })
        }
    }
}
