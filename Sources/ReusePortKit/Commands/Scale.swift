import CLinux

/// `scale`: adds copies to the live generation, or ends some, and leaves the others as they are.
func scale(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let registry = try openApp(request, directory)
    // No deploy may come between: a service for a generation that has been replaced meanwhile would bring that back.
    let turn = try registry.lock(.deploy, until: .command)
    try awaitStarting(registry, until: .command)
    var (live, state) = try openLiveApp(request, directory)
    let wanted = request.copies ?? live.copies
    let report = HandoffView(request, live, registry).reporter
    try endAbandoned(nil, of: live.id, in: registry, report)
    try endUnfinished(of: live.id, below: wanted, registry, report)
    (live, state) = try openLiveApp(request, directory)
    let present = state.copies(of: live.id).filter { !$0.hasGone }.map { $0.copy }
    let known = registry.loadDeployment(of: live)
    let target = (try? known?.options())?.deploy.supervision
    // Copies that a supervisor is about to start again are left to it.
    let missing = (0..<wanted).filter { copy in
        !present.contains(copy)
            && target?.willStart(ServiceMarker(app: registry.app, label: live.label, copy: copy)) != true
    }
    // A scale that was killed may have left copies, too.
    if wanted < live.copies || present.contains(where: { $0 >= wanted }) {
        try shrink(registry, live, to: wanted, report)
    }
    if !missing.isEmpty {
        guard let deployment = known else {
            throw Failure(
                .negative, "scale", "app \(registry.app)", "generation \(live.label) was not started by deploy",
                remedy: "start more copies with the same --generation, and --copies \(wanted)")
        }
        let copies = try prepareCopies(missing, of: live, deployment, request, directory)
        try copies.start(holdsTurn: true, HandoffView(copies).reporter)
    }
    if let deployment = try remember(wanted, registry, live) {
        try updateServices(of: live, deployment, copies: wanted, registry)
    }
    if known != nil { refresh(registry.app, in: directory, report) }
    clearServices(of: registry.app, in: directory, holdsTurn: true, report)
    turn.release(closing: ())
    if missing.isEmpty { report(.scaled(copies: wanted)) }
}

/// Ends copies that a restart or scale has left when it was killed: nobody sends them connections, or ends them.
private func endUnfinished(
    of live: UInt64, below count: Int, _ registry: Registry, _ report: Reporter
) throws(Failure) {
    // Under the lock: without it, a helper that has done its work and gone looks as if it had been killed.
    let unfinished = try registry.change { (state: AppState) throws(Failure) -> [CopyRecord] in
        guard state.app.live?.id == live else { return [] }
        let unfinished = state.running(live).filter { copy in
            let lacksHelper = (copy.state == .starting || copy.state == .ready) && copy.helper == nil
            return copy.copy < count && (copy.state == .stopping || lacksHelper)
        }
        // A helper may have been killed when its copy already got connections.
        if !unfinished.isEmpty { try state.withdraw(unfinished) }
        return unfinished
    }
    if !unfinished.isEmpty { try endWithdrawn(unfinished, of: live, in: registry, report) }
}

/// Tells services how many copies there are.
private func updateServices(
    of live: GenerationRecord, _ deployment: Deployment, copies: Int, _ registry: Registry
) throws(Failure) {
    let options = try deployment.options()
    guard let target = options.deploy.supervision else { return }
    options.request.copies = copies
    let services = SupervisedCopies(
        request: options.request, label: live.label, options: options.deploy, target: target, deployment: deployment)
    try services.updateServices(registry)
}

/// Records how many copies there are, so that the next deploy starts as many.
func remember(
    _ count: Int, _ registry: Registry, _ live: GenerationRecord
) throws(Failure) -> Deployment? {
    let lock = try registry.lock()
    AppState.reconciled(registry).reconcilePaths()
    var deployment = registry.loadDeployment(of: live)
    if let known = deployment {
        let now = known.of(live)
        now.record(known.settings(with: [Setting(.copies, ByteString(decimal: count))]))
        try registry.store(now)
        deployment = now
    }
    lock.release(closing: ())
    return deployment
}

/// Takes connections from surplus copies, then ends them.
func shrink(
    _ registry: Registry, _ live: GenerationRecord, to count: Int, _ report: Reporter
) throws(Failure) {
    let lock = try registry.lock()
    let state = AppState.reconciled(registry)
    guard state.app.live?.id == live.id else {
        throw Failure(.negative, "scale", "app \(registry.app)", "another generation has taken over meanwhile")
    }
    if let starting = state.app.starting {
        throw Failure(.negative, "scale", "app \(registry.app)", "generation \(starting.label) is taking over")
    }
    // While copies are suspended, nobody accepts the connections that wait at surplus ones.
    if state.resetsQueued, state.app.suspended == live.id {
        throw Failure(.negative, "scale", "app \(registry.app)", "it is suspended", remedy: "resume it first")
    }
    let surplus = state.copies(of: live.id).filter { $0.copy >= count }
    try state.shrink(live, to: count)
    for copy in surplus where copy.state != .ended {
        let copy = copy.copied
        copy.state = .stopping
        state.replace(copy)
    }
    try state.store(in: registry)
    lock.release(closing: ())
    if surplus.isEmpty { return }
    try endWithdrawn(surplus, of: live.id, in: registry, report)
}

/// Ends copies that get no connections any more, while their generation lives on. If one could not be stopped, this
/// fails after the others have been.
func endWithdrawn(
    _ copies: [CopyRecord], of generation: UInt64, in registry: Registry, _ report: Reporter
) throws(Failure) {
    let ending = Ending(drain: .accepted(settle: nil), turn: .seconds(60))
    try checkStopped(try endCopies(copies, of: generation, ending, in: registry, report), registry.app)
}
