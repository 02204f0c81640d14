import CLinux

/// `forget`: removes what is left of an app that has ended: what `boot` would deploy, services, control groups, the
/// folders of its logs, and its folder in the registry with the history. It can be killed and called again, because the
/// app's record goes last.
func forget(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let registry = try openApp(request, directory)
    let app = registry.app
    let turn = try registry.lock(.deploy, until: .command)
    let deployments = registry.loadDeployments()
    try clearServices(of: registry, deployments, in: directory)
    let lock = try registry.lock()
    let state = AppState.reconciled(registry)
    for copy in state.copies {
        let generation = state.app.generation(copy.generation)
        // Its supervisor is about to start it again.
        let comesBack = copy.supervisor != nil && (generation?.state == .live || generation?.state == .starting)
        if copy.state == .ended && !comesBack { continue }
        throw Failure(
            .negative, "forget", "app \(app)",
            comesBack && copy.state == .ended
                ? "the supervisor of copy \(copy.copy) of generation \(generation?.label ?? "") is about to start it again"
                : "copy \(copy.copy) of generation \(generation?.label ?? ""), pid \(copy.process.pid), is \(copy.state.name)",
            remedy: "end it with reuseport-exec terminate \(app)")
    }
    try state.store(in: registry)
    // The kernel may keep groups for a moment after their last process has ended.
    let patience = Deadline(after: .seconds(2))
    var pause = Pause()
    while state.app.group != nil, !patience.hasPassed {
        pause.wait(until: patience)
        try state.store(in: registry)
    }
    if let group = state.app.group {
        throw Failure(.negative, "forget", "app \(app)", "something that its copies have left runs in \(group.path)")
    }
    for one in deployments { removeLogs(of: one) }
    let last = try deployments.last?.options()
    let kept = try? stateDirectory(last?.request.stateDirectory)
    let wasEnabled = try kept.map { (kept) throws(Failure) in try disable(app, in: kept) }
    try step("remove", registry.path) { () throws(Errno) in
        try removeTree(app, in: try open("..", in: registry.folder, O_RDONLY | O_DIRECTORY), last: "app")
    }
    lock.release(closing: ())
    turn.release(closing: ())
    var log: ByteString?
    // Folders of services have gone with them.
    if last?.deploy.supervision == nil {
        log = try? usualLog(of: app)
        if case .file(let path)? = last?.deploy.log { log = resolve(path, against: deployments.last?.directory ?? "") }
    }
    if let log, log.withCString({ access($0, F_OK) }) == 0 { request.say(.leavesLog(log), about: app) }
    if wasEnabled == true { request.say(.startsAtBoot(false), about: app) }
}

/// Removes the services of an app of which nothing runs, as soon as their finish scripts have ended.
private func clearServices(
    of registry: Registry, _ deployments: [Deployment], in directory: ByteString
) throws(Failure) {
    let report = HandoffView(app: registry.app, verbosity: .quiet).reporter
    let deadline = Deadline(after: .seconds(20))
    var pause = Pause()
    while true {
        clearServices(of: registry.app, in: directory, holdsTurn: true, report)
        let state = AppState.reconciled(registry)
        var left: [ServiceMarker] = []
        for target in supervisionTargets(of: deployments, { $0.supervision }) {
            left += try supervisedCopies(app: registry.app, on: target).filter { !state.needs($0.label, $0.copy) }
        }
        guard let first = left.first else { return }
        if deadline.hasPassed {
            throw Failure(
                .negative, "forget", "app \(registry.app)",
                "the service of copy \(first.copy) of generation \(first.label) has not ended")
        }
        pause.wait(until: deadline)
    }
}
