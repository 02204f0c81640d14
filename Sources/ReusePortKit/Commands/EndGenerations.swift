/// That some copy of an app runs on.
func notStopped(_ app: ByteString, _ refusal: StopRefusal) -> Failure {
    Failure(.negative, "stop", "app \(app)", refusal.description)
}

/// `retire` and `terminate`, and the first half of `restart`: ends generations without a new one in their place.
func endGenerations(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let registry = try openApp(request, directory)
    let app = registry.app
    let report = HandoffView(app: app, verbosity: .quiet).reporter
    let lock = try registry.lock()
    var state = AppState.reconciled(registry)
    // A copy that has crashed, too, if its supervisor is about to start it again.
    func toStop(_ generation: GenerationRecord) -> [CopyRecord] {
        let isWanted = generation.state == .live || generation.state == .starting
        return state.copies(of: generation.id).filter { copy in
            copy.state != .ended
                || isWanted && copy.supervisor != nil && copy.copy < generation.copies && request.verb != .restart
        }
    }
    let chosen = state.app.generations.filter { generation in
        if toStop(generation).isEmpty { return false }
        let isOld = generation.state != .live && generation.state != .starting
        if request.verb == .retire || request.verb == .restart { return generation.state == .live }
        return !request.onlyRetired || isOld
    }
    if chosen.isEmpty {
        throw Failure(
            .negative, verb: request.verb.names[0], "app \(app)",
            request.onlyRetired ? "it has no retired generation that runs" : "it has no generation that runs")
    }
    let stopped = chosen.map(toStop)
    for generation in chosen where generation.state == .live || generation.state == .starting {
        state.app.change(generation.id) { ($0.state, $0.since) = (.retiring, secondsSince1970()) }
    }
    try state.store(in: registry)
    lock.release(closing: ())
    var refused: StopRefusal?
    for (generation, copies) in zip(chosen, stopped) {
        var ending = Ending(drain: .none, order: .together, keepsFinishing: request.verb == .retire)
        ending.outcome = .ended(by: request.verb.names[0])
        // "Now" has no ten minutes; and those that were told to stop long ago have had their time.
        if request.verb == .terminate { ending.stopTimeoutAtMost = .seconds(5) }
        ending.killsAtOnce = request.onlyRetired
        let outcomes = try endCopies(copies, of: generation.id, ending, in: registry, report)
        for case .refused(let refusal) in outcomes { refused = refusal }
    }
    if let refused { throw notStopped(app, refused) }
    removeRetiredServices(of: app, in: directory) { report(.problem($0)) }
}
