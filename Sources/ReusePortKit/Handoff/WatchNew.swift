import CLinux

extension Coordinator {
    /// Watches the new generation for `--watch`, while the old one still listens and was told nothing.
    ///
    /// If a copy ends, a check fails or a signal comes, the old generation gets the connections again, and this fails. So
    /// it does if a command has ended the new generation, or another one has taken over. The coordinator can be killed at
    /// any moment: then the new generation stays, and the next invocation ends the old one.
    func watchNew(beside old: Predecessor) throws(HandoffFailure) {
        report(.watching(old.copies.isEmpty ? nil : old.generation.label, request.watch))
        let end = Deadline(after: request.watch)
        while true {
            let app = AppState.reconciled(registry)
            guard app.app.live?.id == generation.id else {
                throw failure(whyReplaced(app), app.presence)
            }
            // Another command may have ended the copies to replace them.
            if let why = fault(app), isLive {
                if comeBack(to: old, why) { throw failure(why, AppState.reconciled(registry).presence) }
                // If there is no way back, the new generation goes on as without --watch, while one of its copies can.
                if isLive {
                    if (try? app.serving(generation.id)) == 0 { throw failure(why, app.presence) }
                    return
                }
            } else {
                if end.hasPassed { return }
                wait(until: min(end, Deadline(after: .seconds(1))))
            }
        }
    }

    /// Fails if the old generation has come back while its connections had time to end.
    func confirmServing(after old: Predecessor) throws(HandoffFailure) {
        if request.drain.count == 0 { return }
        let state = AppState.reconciled(registry)
        if state.app.live?.id == old.generation.id { throw failure(whyReplaced(state), state.presence) }
    }

    /// Says why this generation is not live any more. A command that ends one records the reason a while later.
    private func whyReplaced(_ state: AppState) -> GenerationOutcome {
        if let known = state.app.generation(generation.id), !known.outcome.isVague { return known.outcome }
        return state.app.live.map { .replaced(by: $0.label) } ?? .ended(by: "another command")
    }

    private var isLive: Bool { AppState(readingAppOf: registry).app.live?.id == generation.id }

    /// Finds a fault of the new generation; nil if there is none.
    private func fault(_ state: AppState) -> GenerationOutcome? {
        if let seen = disturbance(state) { return seen }
        for index in 0..<members.count where !members[index].copy.process.hasExited {
            do throws(StepFailure) {
                try checkAgain(index)
            } catch {
                // A signal or the end of another copy ends a check as well.
                return disturbance(AppState.reconciled(registry))
                    ?? .failed(copy: members[index].record.copy, reason(of: index, error))
            }
        }
        return nil
    }

    /// The signal that has come, or a copy that has ended although nobody told it to, as `scale` and `restart` do.
    private func disturbance(_ state: AppState) -> GenerationOutcome? {
        if let signal = receivedSignal() { return .failed(copy: nil, EndReason(.interrupted(signal))) }
        let count = state.app.generation(generation.id)?.copies ?? 0
        for copy in state.copies(of: generation.id)
        where copy.hasGone && copy.copy < count && copy.reason?.cause != .toldToStop {
            // Of its own copies the coordinator knows more.
            let index = (0..<members.count).first { members[$0].record.process == copy.process }
            return .failed(copy: copy.copy, index.map { reason(of: $0) } ?? copy.reason ?? .unknown)
        }
        return nil
    }

    private func failure(_ outcome: GenerationOutcome, _ served: Presence?) -> HandoffFailure {
        for index in 0..<members.count { members[index].releaseListeners() }
        if case .failed(let copy?, let why) = outcome,
            let index = (0..<members.count).first(where: { members[$0].record.copy == copy })
        {
            show(index, .failed(why))
        }
        return HandoffFailure(
            app: request.name, label: generation.label, outcomes: [outcome], served: served)
    }

    /// Returns at the deadline, or as soon as a copy ends or a signal comes.
    private func wait(until deadline: Deadline) {
        // The end of one that was told to stop would be reported for ever.
        if (0..<members.count).contains(where: { members[$0].copy.process.hasExited }) {
            _ = poll(nil, 0, deadline.pollTimeout)
            return
        }
        switch interruptions {
        case .some(let interruptions): interruptions.wait(until: deadline)
        case .none: _ = try? members[0].copy.process.waitForExit(until: deadline)
        }
    }

    private func comeBack(to old: Predecessor, _ why: GenerationOutcome) -> Bool {
        let (ours, label) = (generation, old.generation.label)
        do throws(Failure) {
            try directBack(to: old.generation.id, from: ours.id, why, in: registry)
        } catch {
            let reason: ByteString = "\(error.reason); \(why.description)"
            report(.problem(Failure(error.code, verb: error.step, error.object, reason, remedy: error.remedy)))
            return false
        }
        report(.cameBack(to: label))
        do throws(Failure) {
            // Ending copies waits until their listeners are closed, and would take ours for theirs.
            for index in 0..<members.count { members[index].releaseListeners() }
            try endCopies(after: why, of: ours.id, settle: request.settle, drain: request.drain, in: registry, report)
        } catch {
            report(.problem(error))
        }
        return true
    }
}

/// Gives the connections of a live generation back to the one before it, whose copies still listen.
///
/// If this is killed after the kernel was told, reconciling records it.
func directBack(
    to old: UInt64, from live: UInt64, _ why: GenerationOutcome, in registry: Registry
) throws(Failure) {
    try registry.change { (state: AppState) throws(Failure) in
        guard state.app.live?.id == live, let target = state.app.generation(old), try state.canComeBack(target) else {
            throw Failure(
                .negative, "go back to", "the generation before", "it cannot serve at once any more",
                remedy: "reuseport-exec rollback \(registry.app) starts it anew")
        }
        try state.comeBack(to: target)
        state.makeLive(old)
        state.close(live, .failed, why)
        // Brings places in the groups up to date, by listeners that are borrowed.
        try state.rollBack()
    }
    // With --drain they were told not to start these copies again.
    for copy in AppState.reconciled(registry).running(old) {
        if let folder = copy.supervisor?.serviceFolder { _ = try? ControlCommand.send(UInt8(ascii: "u"), to: folder) }
    }
}

/// Ends the copies of a generation whose connections were given back: they finish what they have accepted.
func endCopies(
    after why: GenerationOutcome, of generation: UInt64, settle: Milliseconds?, drain: Milliseconds,
    in registry: Registry, _ report: Reporter
) throws(Failure) {
    let copies = AppState.reconciled(registry).running(generation)
    if copies.isEmpty { return }
    var ending = Ending(drain: .accepted(settle: settle), connections: drain, turn: .seconds(60))
    ending.reason = why.reasonOfCopy
    try endCopies(copies, of: generation, ending, in: registry, report)
}

extension AppState {
    /// Whether a generation that the live one has replaced can serve again at once: it was told nothing yet, it listens
    /// and is not suspended, and none has been started since, whose copies would have taken its slots.
    func canComeBack(_ generation: GenerationRecord) throws(Failure) -> Bool {
        guard generation.isDraining, app.lastID == app.live?.id,
            !running(generation.id).contains(where: { $0.state == .live && $0.isStill })
        else { return false }
        return try serving(generation.id) > 0
    }
}
