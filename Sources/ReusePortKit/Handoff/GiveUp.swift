import CLinux

extension Coordinator {
    /// Ends all members because the generation will not take over, and says why for each that failed.
    borrowing func giveUp(_ failure: MemberFailure) -> HandoffFailure {
        let signal = receivedSignal()
        // The others are likely to fail for the same reason, or for the real one.
        let patience = Deadline(after: Milliseconds(signal == nil ? 300 : 0))
        for each in 0..<members.count { _ = try? members[each].copy.process.waitForExit(until: patience) }
        var reasons: [HandoffFailure.Reason] = []
        for each in 0..<members.count where members[each].copy.process.hasExited {
            let why = reason(of: each, failure)
            reasons.append((members[each].record.copy, why))
            show(each, .failed(why))
        }
        var cause = GenerationOutcome.failed(copy: reasons.first?.copy, reasons.first?.reason ?? .unknown)
        if let signal {
            cause = .failed(copy: nil, EndReason(.interrupted(signal)))
        } else if reasons.isEmpty {
            cause = .failed(copy: failure.member.map { members[$0].record.copy }, failure.reason)
            if let member = failure.member {
                show(member, .failed(failure.reason))
            } else {
                report(
                    .problem(
                        Failure(
                            .negative, "take over", "generation \(generation.label)", failure.reason.description)))
            }
        }
        if reasons.isEmpty, case .failed(let copy, let reason) = cause { reasons = [(copy, reason)] }
        // First: ending copies waits until their listeners are closed, and would take ours for theirs.
        for each in 0..<members.count { members[each].releaseListeners() }
        let served = AppState.reconciled(registry).app.live?.label
        withdraw(0..<members.count, cause, reasons)
        return HandoffFailure(
            app: request.name, label: generation.label, reasons: reasons, joined: false, served: served)
    }

    /// Records that members failed, and ends what was started; the live generation stays as it is.
    ///
    /// Members of a live generation fail alone. Otherwise the whole generation fails, with copies that other helpers
    /// coordinate.
    borrowing func withdraw(
        _ range: Range<Int>, _ cause: GenerationOutcome, _ reasons: [HandoffFailure.Reason]
    ) {
        do throws(Failure) {
            let (current, wasLive) = try recordFailure(range, cause, reasons)
            guard let current else { return }
            let state = AppState.reconciled(registry)
            let copies = state.running(generation.id).filter { copy in
                !wasLive || range.contains { members[$0].record.copy == copy.copy }
            }
            if !copies.isEmpty {
                report(.stopping(current.label))
                var ending = Ending(drain: .none, order: .together, turn: .seconds(10))
                if wasLive, case .failed(_, let reason) = cause { ending.reason = reason }
                try endCopies(copies, of: generation.id, ending, in: registry, report)
            }
            followMembership()
            if !wasLive { report(.failed(current.label)) }
        } catch {
            report(.problem(error))
        }
    }

    /// Directs connections to the live generation as it stands now: its copies may have come to the places of ours.
    private borrowing func followMembership() {
        do throws(Failure) {
            try registry.change { (state: inout AppState) throws(Failure) in
                try state.rollBack()
            }
        } catch {
            report(.minorProblem(error))
        }
    }

    /// Marks the generation as failed unless it is, or was, live; a reason that tells more stays.
    private borrowing func recordFailure(
        _ range: Range<Int>, _ cause: GenerationOutcome, _ reasons: [HandoffFailure.Reason]
    ) throws(Failure) -> (GenerationRecord?, Bool) {
        try registry.change { state in
            let current = state.app.generation(generation.id)
            // A generation that was replaced or ended while a copy joined it counts as live here.
            let wasLive: Bool =
                switch current?.state {
                case .starting?, .failed?, nil: false
                default: true
                }
            for index in range where members[index].copy.process.hasExited {
                let known = reasons.first { $0.copy == members[index].record.copy }
                state.end(members[index].record, known?.reason ?? reason(of: index))
            }
            if !wasLive, let current, current.state == .starting || current.outcome.isVague {
                state.close(generation.id, .failed, cause)
            }
            return (state.app.generation(generation.id), wasLive)
        }
    }
}
