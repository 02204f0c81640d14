import CLinux

/// `suspend`: makes new connections wait until `resume`.
///
/// If the live generation was started by deploy, the same program is deployed again, and the new copies are stopped as
/// they take over. The old generation is drained and ends.
///
/// Otherwise the command is not known, and the live copies are stopped as they are, in the middle of requests.
func suspend(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let registry = try openApp(request, directory)
    let (live, _) = try openLiveApp(request, directory)
    if registry.loadDeployment(of: live) != nil {
        return try runDeploy(request.again(with: [Setting(.suspended)], directory))
    }
    // From here on the live copies themselves are stopped.
    let report = HandoffView(request, live, registry).reporter
    let lock = try registry.lock()
    var state = AppState.reconciled(registry)
    guard state.app.live?.id == live.id else {
        throw Failure(.negative, "suspend", "app \(registry.app)", "another generation has taken over meanwhile")
    }
    // Stored first: a copy that a supervisor starts again meanwhile reads this, and is suspended, too.
    state.app.suspended = live.id
    try state.store(in: registry)
    let copies = state.running(live.id).filter { $0.state == .live }
    // Stopped copies accept nothing, so all that comes has to fit into their accept queues.
    report(.room(try widenBacklogs(of: copies)))
    try suspend(copies)
    lock.release(closing: ())
    report(.standsStill)
}
