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
    if try endAbandoned(of: live.id, below: wanted, registry, report) {
        (live, state) = try openLiveApp(request, directory)
    }
    let present = state.running(live.id).map { $0.copy }
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
    removeRetiredServices(of: registry.app, in: directory, holdsTurn: true) { report(.problem($0)) }
    turn.release(closing: ())
    if missing.isEmpty { report(.scaled(copies: wanted)) }
}

/// Ends copies that a restart or scale has left when it was killed: nobody sends them connections, or ends them.
/// Returns whether there were any.
private func endAbandoned(
    of live: UInt64, below count: Int, _ registry: borrowing Registry, _ report: Reporter
) throws(Failure) -> Bool {
    // Under the lock: without it, a helper that has done its work and gone looks as if it had been killed.
    let abandoned = try registry.change { (state: inout AppState) throws(Failure) -> [CopyRecord] in
        guard state.app.live?.id == live else { return [] }
        let abandoned = state.running(live).filter { copy in
            let lacksHelper = (copy.state == .starting || copy.state == .ready) && copy.helper == nil
            return copy.copy < count && (copy.state == .stopping || lacksHelper)
        }
        // A helper may have been killed when its copy already got connections.
        if !abandoned.isEmpty { try state.withdraw(abandoned) }
        return abandoned
    }
    if abandoned.isEmpty { return false }
    try endWithdrawn(abandoned, of: live, in: registry, report)
    return true
}

/// Tells services how many copies there are.
private func updateServices(
    of live: GenerationRecord, _ deployment: Deployment, copies: Int, _ registry: borrowing Registry
) throws(Failure) {
    let options = try deployment.options()
    guard let target = options.deploy.supervision else { return }
    options.request.copies = copies
    let services = SupervisedCopies(
        request: options.request, label: live.label, options: options.deploy, target: target, deployment: deployment)
    try services.updateServices(registry)
}

/// Records how many copies there are, so that the next deploy starts as many.
private func remember(
    _ count: Int, _ registry: borrowing Registry, _ live: GenerationRecord
) throws(Failure) -> Deployment? {
    let lock = try registry.lock()
    AppState.reconciled(registry).reconcilePaths()
    var deployment = registry.loadDeployment(of: live)
    if let known = deployment {
        let copies = Setting(.copies, ByteString(decimal: count))
        var now = Deployment(
            generation: live.id, directory: known.directory, known.settings(with: [copies]), command: known.command,
            configuration: known.configuration)
        now.label = live.label
        try registry.store(now)
        deployment = now
    }
    lock.release(closing: ())
    return deployment
}

/// Takes connections from surplus copies, then ends them.
private func shrink(
    _ registry: borrowing Registry, _ live: GenerationRecord, to count: Int, _ report: Reporter
) throws(Failure) {
    let lock = try registry.lock()
    var state = AppState.reconciled(registry)
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
        var copy = copy
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
    _ copies: [CopyRecord], of generation: UInt64, in registry: borrowing Registry, _ report: Reporter
) throws(Failure) {
    let ending = Ending(drain: .accepted(settle: nil), turn: .seconds(60))
    try checkStopped(try endCopies(copies, of: generation, ending, in: registry, report), registry.app)
}
