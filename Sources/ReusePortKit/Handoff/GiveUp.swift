import CLinux

extension Coordinator {
    /// Ends all members because the generation will not take over, and says why for each that failed.
    func giveUp(_ failure: StepFailure) -> HandoffFailure {
        let interruption = receivedSignal().map { GenerationOutcome.failed(copy: nil, EndReason(.interrupted($0))) }
        let outcomes: [GenerationOutcome]
        if role == .helper, case .generation = failure {
            // Another helper has recorded why the generation fails, and may have ended our copy for that by now.
            outcomes = [explain(failure)]
        } else {
            outcomes = explainMembers(failure, interruption)
        }
        // Ending copies waits until their listeners are closed, and would take ours for theirs.
        for each in 0..<members.count { members[each].giveUpListeners() }
        let served = AppState.reconciled(registry).presence
        withdraw(0..<members.count, interruption ?? outcomes[0], outcomes)
        return HandoffFailure(
            app: request.name, label: generation.label, outcomes: outcomes, served: served)
    }

    /// Shows why each member that has ended did so; if none has, why the handoff fails.
    private func explainMembers(
        _ failure: StepFailure, _ interruption: GenerationOutcome?
    ) -> [GenerationOutcome] {
        // The other members are likely to fail for the same reason, or the first of them for the real one.
        let patience = Deadline(after: Milliseconds(interruption == nil ? 300 : 0))
        for each in 0..<members.count { _ = try? members[each].copy.process.waitForExit(until: patience) }
        var outcomes: [GenerationOutcome] = []
        for each in 0..<members.count where members[each].copy.process.hasExited {
            let why = reason(of: each, failure)
            outcomes.append(.failed(copy: members[each].record.copy, why))
            show(each, .failed(why))
        }
        return outcomes.isEmpty ? [interruption ?? explain(failure)] : outcomes
    }

    /// Shows why the handoff fails although all members still run.
    private func explain(_ failure: StepFailure) -> GenerationOutcome {
        switch failure {
        case .member(let index, let reason):
            show(index, .failed(reason))
            return .failed(copy: members[index].record.copy, reason)
        case .generation(let outcome):
            // A command ends with the reason.
            if role == .helper {
                report(
                    .problem(Failure(.negative, "take over", "generation \(generation.label)", outcome.description)))
            }
            return outcome
        }
    }

    /// Records that members failed, and ends what was started; the live generation stays as it is.
    ///
    /// Members of a live generation fail alone. Otherwise the whole generation fails, with copies that other helpers
    /// coordinate. `cause` is recorded for the generation, `outcomes` for its copies.
    func withdraw(_ range: Range<Int>, _ cause: GenerationOutcome, _ outcomes: [GenerationOutcome]) {
        do throws(Failure) {
            let (current, wasLive) = try recordFailure(range, cause, outcomes)
            guard let current else { return }
            let state = AppState.reconciled(registry)
            let copies = state.running(generation.id).filter { copy in
                !wasLive || range.contains { members[$0].record.copy == copy.copy }
            }
            if !copies.isEmpty {
                report(.stopping(current.label))
                var ending = Ending(drain: .none, turn: .seconds(10), follow: followMembership)
                // They have served nobody.
                if !wasLive { ending.stopTimeoutAtMost = .seconds(2) }
                if wasLive { ending.reason = cause.reasonOfCopy }
                try endCopies(copies, of: generation.id, ending, in: registry, report)
            } else {
                try registry.change { (state: AppState) throws(Failure) in followMembership(state) }
            }
            // Processes that they have put into the background end with them, also those without a listener.
            for index in range where members[index].copy.process.hasExited {
                if let group = members[index].record.group { _ = killAll(in: group.group) }
            }
            if !wasLive, role == .helper { report(.failed(current.label)) }
        } catch {
            report(.problem(error))
        }
    }

    /// Directs connections to the live generation as it stands now: its copies may have moved to the places of ours.
    private func followMembership(_ state: AppState) {
        do throws(Failure) {
            try state.rollBack()
        } catch {
            report(.minorProblem(error))
        }
    }

    /// Marks the generation as failed unless it is, or was, live; a reason that says more is kept.
    private func recordFailure(
        _ range: Range<Int>, _ cause: GenerationOutcome, _ outcomes: [GenerationOutcome]
    ) throws(Failure) -> (GenerationRecord?, wasLive: Bool) {
        try registry.change { state in
            let current = state.app.generation(generation.id)
            // A generation that was replaced or ended while a copy joined it counts as live here.
            let wasLive: Bool =
                switch current?.state {
                case .starting?, .failed?, nil: false
                default: true
                }
            for index in range where members[index].copy.process.hasExited {
                var why: EndReason?
                for case .failed(members[index].record.copy, let known) in outcomes { why = known }
                // Another helper that has ended the copy has recorded why.
                if why == nil, let known = state.known(members[index].record)?.reason, known != .unknown { continue }
                state.end(members[index].record, why ?? reason(of: index))
            }
            if !wasLive, let current, current.state == .starting || current.outcome.isVague {
                state.close(generation.id, .failed, cause)
            }
            return (state.app.generation(generation.id), wasLive)
        }
    }
}
