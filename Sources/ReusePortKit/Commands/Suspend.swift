import CLinux

/// `suspend`: deploys the program again, in a generation that stands still. The one that served is drained and ends, and
/// connections that come meanwhile wait.
///
/// If deploy does not know how it was started, its copies are stopped as they are, in the middle of requests.
func suspend(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let registry = try openApp(request, directory)
    let (live, _) = try openLiveApp(request, directory)
    if registry.loadDeployment(of: live) != nil {
        return try runDeploy(request.again(with: [Setting(.suspended)], directory))
    }
    let report = HandoffView(request, live, registry).reporter
    let lock = try registry.lock()
    var state = AppState.reconciled(registry)
    guard state.app.live?.id == live.id else {
        throw Failure(.negative, "suspend", "app \(registry.app)", "another generation has taken over meanwhile")
    }
    // Stored first, so that copies which are started again meanwhile are suspended, too.
    state.app.suspended = live.id
    try state.store(in: registry)
    let copies = state.running(live.id).filter { $0.state == .live }
    report(.room(try widenBacklogs(of: copies)))
    try suspend(copies)
    lock.release(closing: ())
    report(.standsStill)
}
