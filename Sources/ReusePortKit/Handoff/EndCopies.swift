import CLinux

/// Says how copies are ended.
struct Ending {
    /// How connections that wait at the copies are treated before the copies are told to stop.
    enum Drain {
        case none
        /// The copies get time to finish handshakes (`--settle`, or as given), to accept what waits, and to read it. Before
        /// that their connections get time to end (`--drain`).
        case accepted(settle: Milliseconds?)
        /// As `accepted`, unless what waits moves to other copies by itself.
        case acceptedUnlessMoved(settle: Milliseconds?)
        /// The copies get time to accept what waits; handshakes have long ended.
        case acceptedWithoutSettling
    }

    enum Order {
        /// In batches after which the places in the groups are still known; each is followed by a redirection.
        case bySteering
        /// All at once, because they get no connections.
        case together
    }

    var drain: Drain
    /// `--drain` of the new generation; nil: connections are not waited for, because new ones keep coming.
    var connections: Milliseconds? = Milliseconds(0)
    var order = Order.bySteering
    /// How long to wait for the right to change the groups; nil: the copies are no members any more.
    var turn: Milliseconds?
    /// Whether a copy may live on when its listeners are closed.
    var keepsFinishing = false
    /// Whether what waits moves to the live generation when listeners are closed; nil: `endCopies` finds out.
    var moves: Bool?
    var stopTimeoutAtMost: Milliseconds?
    /// KILL instead of the stop signal.
    var killsAtOnce = false
    /// Whether supervisors are told to keep the copies down; otherwise they start them again.
    var tellsSupervisors = true
    /// The outcome recorded for their generation; nil if it lives on, or has failed.
    var outcome: GenerationOutcome?
    /// What is recorded of copies that stop; nil: they were told to.
    var reason: EndReason?
    /// Decides which copies to stop when they are drained, by what is known then; nil: those that were drained.
    var choose: ((AppState) -> [CopyRecord])?
    /// Redirects the groups after members have left them; nil: to the live generation, by a listener that is borrowed
    /// from one of its copies.
    var follow: ((AppState) throws(Failure) -> Void)?
}

/// Ends copies of one generation, which is done nowhere else: drains them, stops them, and records what has become of
/// each.
@discardableResult
func endCopies(
    _ copies: [CopyRecord], of generation: UInt64, _ ending: Ending, in registry: Registry,
    _ report: Reporter
) throws(Failure) -> [StopOutcome] {
    // It may take long, so others have their turn meanwhile.
    if case .accepted(let settle) = ending.drain, let time = ending.connections {
        awaitConnections(of: copies, within: time, settle: settle, ending.tellsSupervisors ? registry : nil)
    }
    let turn = ending.turn.flatMap { takeTurn(registry, $0, report) }
    var state = AppState.reconciled(registry)
    let moves = ending.moves ?? state.app.live.map { state.movesQueued(from: copies, to: $0.id) } ?? false
    func redirect(_ state: AppState) {
        do throws(Failure) { try (ending.follow ?? followByBorrowing)(state) } catch { report(.problem(error)) }
    }
    var patience = Milliseconds(0)
    for _ in 0..<3 {
        // When a member has left, the program's number for it means another one, or none, and then the kernel's hash
        // chooses: the copies that drain get connections until the group is directed anew.
        if ending.order == .bySteering, state.lackMembers(copies) {
            try? registry.change { redirect($0) }
        }
        patience = try drain(copies, ending, moves: moves)
        // Draining takes time, in which copies may have ended or come.
        state = AppState.reconciled(registry)
        if !state.lackMembers(copies) { break }
    }
    if let outcome = ending.outcome {
        // From here on the generation cannot come back, as `rollback` sees under the same lock.
        try? registry.change { now in
            if now.app.live?.id != generation { now.app.change(generation) { $0.outcome = outcome } }
            state = now
        }
    }
    let isBack = ending.outcome != nil && state.app.live?.id == generation
    let toStop = isBack ? [] : ending.choose?(state) ?? copies
    let sparing = state.supervisors(sparing: toStop)
    let spared = state.processes(sparing: toStop)
    var batches = ending.order == .together ? [toStop] : state.stopBatches(toStop)
    // The generation is closed even if there is no copy to stop.
    if batches.isEmpty { batches = [[]] }
    var remaining = 0
    var obstacle: Failure?
    var all: [StopOutcome] = []
    for (index, batch) in batches.enumerated() {
        if index > 0, let first = batch.first {
            // While the batches before it left, the kernel's hash may have sent this one connections, so handshakes
            // get the settle time again. What it has accepted is not waited for: many silent clients would add up.
            if state.havePlace([first]) { awaitHandshakes(of: batch, settle: ending.settle, moves: false) }
            patience = try awaitAccepted(by: batch, within: patience, moves: false)
        }
        state.hideListeners(of: batch)
        let outcomes = try stop(
            batch.map { stopOrder(for: $0, ending, moves: moves, sparing: spared) }, sparing: sparing,
            report: { report(.stop($0)) })
        all += outcomes
        let isLast = index == batches.count - 1
        do throws(Failure) {
            try registry.change { (state: AppState) throws(Failure) in
                remaining += state.record(outcomes, of: batch, reason: ending.reason)
                if isLast, !isBack, let outcome = ending.outcome, state.app.generation(generation)?.state != .failed {
                    state.close(generation, remaining > 0 ? .retired : .ended, outcome)
                }
                if outcomes.contains(where: { $0.isForced }) {
                    do throws(Failure) { try state.attachAgain() } catch { report(.minorProblem(error)) }
                }
                // Copies that stop together get no connections, so nothing has to be redirected.
                if ending.order == .bySteering { redirect(state) }
            }
        } catch {
            // The other copies are stopped all the same; the next invocation sees what could not be recorded.
            obstacle = error
        }
    }
    turn.release()
    if let obstacle { throw obstacle }
    return all
}

private func followByBorrowing(_ state: AppState) throws(Failure) {
    try state.rollBack()
}

extension Ending {
    /// The settle time that the command or the new generation asked for.
    fileprivate var settle: Milliseconds? {
        switch drain {
        case .accepted(let settle), .acceptedUnlessMoved(let settle): settle
        case .none, .acceptedWithoutSettling: nil
        }
    }
}

/// Takes the right to change the groups. If that fails, it is reported, and the copies are ended all the same.
private func takeTurn(_ registry: Registry, _ patience: Milliseconds, _ report: Reporter) -> Descriptor? {
    do throws(Failure) {
        return try AppState(readingAppOf: registry).lockGroups(in: registry, within: patience)
    } catch {
        report(.problem(error))
        return nil
    }
}

/// Drains copies; returns what is left of the time that they have to accept what waits.
private func drain(_ copies: [CopyRecord], _ ending: Ending, moves: Bool) throws(Failure) -> Milliseconds {
    let patience = Milliseconds.seconds(5)
    switch ending.drain {
    case .none: return patience
    case .acceptedUnlessMoved where moves: return patience
    case .accepted(let settle), .acceptedUnlessMoved(let settle):
        // Copies that stand still accept nothing.
        if !moves { for copy in copies { try? resume(copy.process) } }
        awaitHandshakes(of: copies, settle: settle, moves: moves)
        let rest = try awaitAccepted(by: copies, within: patience, moves: moves)
        awaitRead(by: copies)
        return rest
    case .acceptedWithoutSettling:
        return try awaitAccepted(by: copies, within: patience, moves: moves)
    }
}

/// Says how one copy is stopped.
private func stopOrder(
    for copy: CopyRecord, _ ending: Ending, moves: Bool, sparing spared: [ProcessIdentity]
) -> StopOrder {
    var order = StopOrder(
        process: copy.process, listeners: copy.listeners.map { $0.identity },
        supervisor: ending.tellsSupervisors ? copy.supervisor : nil, stopSignal: copy.stopSignal,
        stopTimeout: ending.stopTimeoutAtMost.map { min($0, copy.stopTimeout) } ?? copy.stopTimeout,
        keepsFinishing: ending.keepsFinishing, nice: copy.nice)
    order.sharesLimit = copy.group?.isLimited == true
    order.group = copy.group
    order.user = copy.user
    order.spared = spared
    order.moves = moves
    if case .accepted = ending.drain { order.countsUnanswered = true }
    order.channel = copy.channel
    if ending.killsAtOnce {
        (order.stopSignal, order.channel) = (SIGKILL, nil)
    } else if copy.isFirstTold, case .signal? = order.requests.first,
        let signal = order.supervisor?.ownSignal(or: copy.stopSignal)
    {
        (order.stopSignal, order.isSignalledBySupervisor) = (signal, true)
    }
    return order
}

extension CopyRecord {
    /// Whether nobody has told it to stop before, as far as is known.
    fileprivate var isFirstTold: Bool { state != .retired && state != .stopping }
}

extension AppState {
    /// The supervisors of all copies that live on when these stop. They are told nothing.
    func supervisors(sparing stopped: [CopyRecord]) -> [Supervisor] {
        others(besides: stopped).compactMap { $0.supervisor }
    }

    /// The processes of all copies that live on when these stop, and the coordinators of all.
    fileprivate func processes(sparing stopped: [CopyRecord]) -> [ProcessIdentity] {
        copies.compactMap { $0.helper } + others(besides: stopped).map { $0.process }
    }

    /// Records how copies have stopped; returns how many are still there.
    func record(_ outcomes: [StopOutcome], of stopped: [CopyRecord], reason: EndReason?) -> Int {
        var remaining = 0
        for (copy, outcome) in zip(stopped, outcomes) {
            // Its supervisor may have started another one in its place.
            guard let record = known(copy), record.process == copy.process else { continue }
            switch outcome {
            case .alreadyGone: record.state = .ended
            // Where its process had gone before, that is why it ended.
            case .exited where copy.state == .abandoned, .killed where copy.state == .abandoned: record.state = .ended
            case .exited: (record.state, record.reason) = (.ended, reason ?? .toldToStop)
            case .killed(let why):
                (record.state, record.reason) = (.ended, reason ?? EndReason(.killed, why.description))
            case .retired: (record.state, remaining) = (.retired, remaining + 1)
            case .refused(let refusal):
                record.state = .stopping
                record.reason = EndReason(.notStopped, refusal.description)
                remaining += 1
            }
            replace(record)
        }
        return remaining
    }
}
