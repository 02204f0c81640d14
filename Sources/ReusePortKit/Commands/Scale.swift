import CLinux

/// `scale`: more or fewer copies of the live generation, without a restart of any.
func scale(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let registry = try openApp(request, directory)
    // One at a time: a service for a generation that has been replaced meanwhile would bring that back.
    let turn = try registry.lock(deployLock, until: Deadline(after: .seconds(60)))
    try awaitStarting(registry, until: Deadline(after: .seconds(60)))
    var (live, state) = try openLiveApp(request, directory)
    let wanted = request.copies ?? live.copies
    let log = Log(descriptor: 2, verbosity: request.verbosity, subject: "\(registry.app) \(live.label)")
    // A restart or scale that was killed has left them: nobody sends them connections, nor ends them. With the lock, for
    // without it a helper that has done its work and gone looks as if it had been killed.
    var left: [CopyRecord] = []
    try registry.change { (state: inout AppState) throws(Failure) in
        guard state.app.live?.order == live.order else { return }
        left = state.running(live.order).filter { copy in
            let isAbandoned = (copy.state == .starting || copy.state == .ready) && copy.helper == nil
            return copy.copy < wanted && (copy.state == .stopping || isAbandoned)
        }
        // A helper may have been killed when the kernel sent its copy connections already.
        if !left.isEmpty { try state.withdraw(left) }
    }
    if !left.isEmpty {
        try end(left, registry, log)
        (live, state) = try openLiveApp(request, directory)
    }
    let present = state.running(live.order).map { $0.copy }
    let known = registry.loadDeployment(of: live)
    let target = (try? known?.options())?.deploy.supervision
    // What a supervisor is about to start again is not ours to start.
    let missing = (0..<wanted).filter { copy in
        !present.contains(copy)
            && target?.hasInHand(ServiceMarker(app: registry.app, label: live.label, copy: copy)) != true
    }
    // Also those that a scale which was killed has left.
    if wanted < live.copies || present.contains(where: { $0 >= wanted }) { try shrink(registry, live, to: wanted, log) }
    if !missing.isEmpty {
        guard let deployment = known else {
            throw Failure(
                .negative, "scale", "app \(registry.app)", "generation \(live.label) was not started by deploy",
                remedy: "start more copies with the same --generation, and --copies \(wanted)")
        }
        try addCopies(
            missing, to: live, deployment, request.verbosity, runDirectory: directory, holdsTurn: true)
    }
    if let deployment = try remember(wanted, registry, live) {
        let options = try deployment.options()
        try updateServices(options.request, options.deploy, deployment, live.label, copies: wanted, registry)
    }
    removeRetiredServices(of: registry.app, in: directory, holdsTurn: true)
    turn.release(closing: ())
    if missing.isEmpty { log.step("has \(wanted) \(wanted == 1 ? "copy" : "copies")") }
}

/// What is deployed next has as many.
private func remember(
    _ count: Int, _ registry: borrowing Registry, _ live: GenerationRecord
) throws(Failure) -> Deployment? {
    let lock = try registry.lock()
    AppState.mended(registry).mendPaths()
    var deployment = registry.loadDeployment(of: live)
    if let known = deployment {
        let copies = Setting(option: .of(.copies), value: ByteString(decimal: count), origin: .commandLine)
        var now = Deployment(
            generation: live.order, directory: known.directory, known.settings(with: [copies]), command: known.command,
            configuration: known.configuration)
        now.label = live.label
        try registry.store(now)
        deployment = now
    }
    lock.release(closing: ())
    return deployment
}

/// Takes connections from the copies that are too many, then ends them.
private func shrink(
    _ registry: borrowing Registry, _ live: GenerationRecord, to count: Int, _ log: Log
) throws(Failure) {
    let lock = try registry.lock()
    var state = AppState.mended(registry)
    guard state.app.live?.order == live.order else {
        throw Failure(.negative, "scale", "app \(registry.app)", "another generation has taken over meanwhile")
    }
    if let starting = state.app.starting {
        throw Failure(.negative, "scale", "app \(registry.app)", "generation \(starting.label) is taking over")
    }
    // At level 2 nothing moves what waits at those that are to go, and nobody accepts it.
    if case .index? = state.app.steering, state.app.suspended == live.order {
        throw Failure(.negative, "scale", "app \(registry.app)", "it is suspended", remedy: "resume it first")
    }
    let surplus = state.copies(of: live.order).filter { $0.copy >= count }
    try state.narrow(live, to: count)
    for copy in surplus where copy.state != .ended {
        var copy = copy
        copy.state = .stopping
        state.replace(copy)
    }
    try state.store(in: registry)
    lock.release(closing: ())
    if surplus.isEmpty { return }
    try end(surplus, registry, log)
}

/// Waits until copies that get no connections any more have got through what they have; for who has the turn in the
/// groups. What is left of the time for that is answered.
@discardableResult
func drain(_ copies: [CopyRecord], _ registry: borrowing Registry) throws(Failure) -> Milliseconds {
    let state = AppState.mended(registry)
    return try awaitDrained(
        copies, moves: copies.first.map { state.moves(copies, to: $0.generation) } ?? false)
}

/// Stops copies that get no connections any more, and writes down what has become of them. Fails when all is done if
/// one could not be stopped.
func end(_ copies: [CopyRecord], _ registry: borrowing Registry, _ log: Log) throws(Failure) {
    let turn = try AppState.ofApp(registry).turnInGroups(registry, .seconds(60))
    var patience = try drain(copies, registry)
    let before = AppState.mended(registry)
    let moves = copies.first.map { before.moves(copies, to: $0.generation) } ?? false
    let sparing = before.supervisors(sparing: copies)
    var refused: ByteString?
    for (index, together) in before.inOrderOfStopping(copies).enumerated() {
        if index > 0 {
            // Until the program was told that others have moved, some connections may have come to these.
            patience = try awaitDrained(together, moves: false, reads: false, patience: patience)
        }
        let orders = together.map { stopOrder(for: $0, keepsFinishing: false, moves: moves) }
        let outcomes = try stop(orders, sparing: sparing, log: log)
        let lock = try registry.lock()
        var state = AppState.mended(registry)
        for (copy, outcome) in zip(together, outcomes) {
            if case .refused(let why) = outcome {
                refused = why
            } else {
                state.end(copy, toldToStop)
            }
        }
        try state.store(in: registry)
        // Another generation may have taken over meanwhile: then its copies have moved.
        if let live = state.app.live { try state.redirect(to: live.order) }
        try state.store(in: registry)
        lock.release(closing: ())
    }
    turn.release()
    if let refused { throw notStopped(registry.app, refused) }
}
