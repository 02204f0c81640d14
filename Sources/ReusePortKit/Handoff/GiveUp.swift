import CLinux

extension Handoff {
    /// A copy is not going to be ready: stops what was started, and leaves the old generation as it is.
    func giveUp(_ enrolment: borrowing Enrolment, _ process: borrowing ProcessHandle, _ failure: Failure) {
        var failure = failure
        if process.hasExited, failure.reason == endReason(of: process) {
            failure = Failure(
                failure.code, failure.step, failure.object, kernelsReason(enrolment), remedy: failure.remedy)
        }
        let reason: ByteString =
            failure.object.isEmpty ? failure.reason : "\(failure.object): \(failure.reason)"
        log.warning(failure.message)
        do throws(Failure) {
            let (generation, wasLive) = try recordFailure(enrolment, process, reason)
            guard let generation else { return }
            let state = AppState.mended(enrolment.registry)
            // A copy that was to join a live generation fails alone.
            let copies =
                wasLive ? state.running(order).filter { $0.copy == enrolment.record.copy } : state.running(order)
            if !copies.isEmpty {
                show("stopping generation \(generation.label)")
                let turn = turnInGroups(enrolment, .seconds(10))
                let outcomes = try stop(
                    copies.map { stopOrder(for: $0, keepsFinishing: false) },
                    sparing: state.supervisors(sparing: copies), report: log.report)
                turn.release()
                try enrolment.registry.change { state in
                    if wasLive {
                        for copy in copies { state.end(copy, reason) }
                    } else {
                        state.note(copies, outcomes, of: order, reason: reason)
                    }
                }
            }
            followLive(enrolment)
            if !wasLive { log.warning("generation \(generation.label) failed; nothing was switched") }
        } catch {
            log.warning(error.message)
        }
    }

    /// Level 2: when copies of the live generation have come or gone meanwhile, they have moved to our places.
    private func followLive(_ enrolment: borrowing Enrolment) {
        do throws(Failure) {
            try enrolment.registry.change { (state: inout AppState) throws(Failure) in
                if let live = state.app.live { try state.redirect(to: live.order) }
            }
        } catch {
            log.detail(error.message)
        }
    }

    /// Marks the generation as failed, unless it is live; what is recorded first stays.
    private func recordFailure(
        _ enrolment: borrowing Enrolment, _ process: borrowing ProcessHandle, _ reason: ByteString
    ) throws(Failure) -> (GenerationRecord?, Bool) {
        let lock = try enrolment.registry.lock()
        var state = AppState.mended(enrolment.registry)
        // Also one that was replaced, or ended, while a copy of it was on its way.
        let wasLive: Bool =
            switch state.app.generation(order)?.state {
            case .starting?, .failed?, nil: false
            default: true
            }
        if process.hasExited, let record = state.copies.first(where: { $0.fileName == enrolment.record.fileName }) {
            state.end(record, kernelsReason(enrolment))
        }
        if !wasLive, let generation = state.app.generation(order),
            generation.state == .starting || generation.reason.isEmpty
                || generation.reason == "it has ended" || generation.reason == "its copies have ended"
        {
            state.finish(order, .failed, reason)
        }
        try state.store(in: enrolment.registry)
        let generation = state.app.generation(order)
        lock.release(closing: ())
        return (generation, wasLive)
    }
}

extension AppState {
    mutating func end(_ copy: CopyRecord, _ reason: ByteString) {
        guard var record = copies.first(where: { $0.fileName == copy.fileName }) else { return }
        record.state = .ended
        record.reason = reason
        replace(record)
    }
}
