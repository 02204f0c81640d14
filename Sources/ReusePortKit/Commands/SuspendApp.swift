import CLinux

/// `suspend`: the same program again in a generation that stands still, so that the one that served is drained and
/// ends, and what comes meanwhile waits.
///
/// Where deploy does not know how it was started, the copies stand still as they are, with the requests they are at.
func suspendApp(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let registry = try openApp(request, directory)
    let (live, _) = try openLiveApp(request, directory)
    if registry.loadDeployment(of: live) != nil {
        return try runDeploy(
            request.again(with: [Setting(option: .of(.suspended), value: "", origin: .commandLine)], directory))
    }
    let report = HandoffView(request, live, registry).reporter
    let lock = try registry.lock()
    var state = AppState.reconciled(registry)
    guard state.app.live?.order == live.order else {
        throw Failure(.negative, "suspend", "app \(registry.app)", "another generation has taken over meanwhile")
    }
    // First: what is started again meanwhile is to stand still as well.
    state.app.suspended = live.order
    try state.store(in: registry)
    let copies = state.running(live.order).filter { $0.state == .live }
    report(.room(try widenBacklogs(of: copies)))
    try suspend(copies)
    lock.release(closing: ())
    report(.standsStill)
}

/// `resume`: the copies go on. After a failure the app counts as suspended still, so that it may be said again.
func resumeApp(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let registry = try openApp(request, directory)
    let lock = try registry.lock()
    var state = AppState.reconciled(registry)
    let copies = state.app.live.map { state.running($0.order) } ?? []
    let isSuspended =
        state.app.suspended != nil
        || copies.contains { copy in
            copy.channel?.waits == true || (try? ProcessStatus(of: copy.process.pid))?.isStopped == true
        }
    // Where all have ended, nothing stands still any more: then it is only forgotten.
    guard isSuspended else {
        throw Failure(.negative, "resume", "app \(registry.app)", "it is not suspended")
    }
    var refused: Failure?
    for copy in copies {
        do throws(Errno) {
            try resume(copy.process)
        } catch {
            // What has just ended needs nothing.
            if error != .noProcess { refused = Failure("resume", "pid \(copy.process.pid)", error) }
        }
    }
    if let live = state.app.live, let failure = state.wake(live.order) { refused = failure }
    if refused == nil { state.app.suspended = nil }
    // Those that were told are not to be told again.
    try state.store(in: registry)
    if let refused { throw refused }
    lock.release(closing: ())
}

extension VerbRequest {
    /// What the live generation was deployed with, deployed again.
    func again(with settings: [Setting], _ directory: ByteString) -> DeployRequest {
        func setting(_ key: Option.Key, _ value: ByteString) -> Setting {
            Setting(option: .of(key), value: value, origin: .commandLine)
        }
        var all = settings + [setting(.app, app ?? ""), setting(.runDirectory, directory)]
        if verbosity == .quiet { all.append(setting(.quiet, "")) }
        if verbosity == .everything { all.append(setting(.debug, "")) }
        return DeployRequest(settings: all, command: [])
    }
}
