/// Fails if one of an app's copies could not be stopped.
func checkStopped(_ outcomes: [StopOutcome], _ app: ByteString) throws(Failure) {
    for case .refused(let refusal) in outcomes {
        throw Failure(.negative, "stop", "app \(app)", refusal.description)
    }
}

/// Removes the services of generations that are over. A failure is only reported.
@inline(never)
func clearServices(
    of app: ByteString, in directory: ByteString, holdsTurn: Bool = false, _ report: Reporter
) {
    removeRetiredServices(
        of: app, in: directory, holdsTurn: holdsTurn, target: { $0.supervision }, failed: { report(.problem($0)) })
}

/// `retire` and `terminate`, and the first half of `restart`: ends generations without a new one in their place.
func endGenerations(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let registry = try openApp(request, directory)
    let report = HandoffView(app: registry.app, verbosity: .quiet).reporter
    let chosen = try registry.change { (state: AppState) throws(Failure) in
        // Nothing is changed if it could not be seen whether the copies stop listening.
        try checkListing(state.copies.flatMap { $0.listeners }.map { $0.identity })
        return try state.chooseGenerations(request, registry.app)
    }
    var ending = Ending(drain: .none, order: .together, keepsFinishing: request.verb == .retire)
    ending.outcome = .ended(by: request.verb.name)
    // `terminate` does not wait for a long --stop-timeout.
    if request.verb == .terminate { ending.stopTimeoutAtMost = .seconds(5) }
    // Retired generations were told to stop long ago, and have had their time.
    ending.killsAtOnce = request.onlyRetired
    var outcomes: [StopOutcome] = []
    for one in chosen {
        let stopped = try endCopies(one.copies, of: one.id, ending, in: registry, report)
        outcomes += stopped
        if request.verb != .restart {
            request.say(.retired(one.label, RetireOutcome(stopped)), about: registry.app)
        }
    }
    try checkStopped(outcomes, registry.app)
    clearServices(of: registry.app, in: directory, report)
    if request.verb != .restart, !request.onlyRetired,
        isEnabled(registry.app, registry.loadDeployments().last.flatMap { try? $0.options() })
    {
        request.say(.startsAtBoot(true), about: registry.app)
    }
}

extension AppState {
    /// Chooses the generations that a verb ends, with the copies to stop, and marks them as retiring.
    fileprivate func chooseGenerations(
        _ request: VerbRequest, _ name: ByteString
    ) throws(Failure) -> [(id: UInt64, label: ByteString, copies: [CopyRecord])] {
        var chosen: [(id: UInt64, label: ByteString, copies: [CopyRecord])] = []
        for generation in app.generations {
            let isCurrent = generation.state == .live || generation.state == .starting
            let isMeant =
                switch request.verb {
                case .retire, .restart: generation.state == .live
                // One that drains may come back.
                default: !request.onlyRetired || !isCurrent && !generation.isDraining
                }
            let copies = copiesToStop(generation, request)
            if !isMeant || copies.isEmpty { continue }
            chosen.append((generation.id, generation.label, copies))
            if isCurrent { app.change(generation.id) { ($0.state, $0.since) = (.retiring, secondsSince1970()) } }
        }
        if chosen.isEmpty {
            throw Failure(
                .negative, verb: request.verb.name, "app \(name)",
                request.onlyRetired ? "it has no retired generation that runs" : "it has no generation that runs",
                remedy: request.onlyRetired ? nil : "reuseport-exec forget \(name) removes what is left of it")
        }
        return chosen
    }

    /// The copies that run, and those that have crashed if their supervisors are about to start them again.
    private func copiesToStop(_ generation: GenerationRecord, _ request: VerbRequest) -> [CopyRecord] {
        let isCurrent = generation.state == .live || generation.state == .starting
        return copies(of: generation.id).filter { copy in
            copy.state != .ended
                || isCurrent && copy.supervisor != nil && copy.copy < generation.copies && request.verb != .restart
        }
    }
}
