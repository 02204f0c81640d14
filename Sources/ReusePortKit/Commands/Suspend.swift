import CLinux

/// `suspend`: makes new connections wait until `resume`.
///
/// If the live generation was started by deploy, the same program is deployed again, and the new copies are stopped as
/// they take over. The old generation is drained and ends.
///
/// With `--in-place`, or if the command is not known, the live copies are stopped as they are, in the middle of
/// requests. Only a process that stands still leaves connections in its accept queue: no program can be told from
/// outside to accept nothing, and without a process to hold it there is no other listener to which steering could
/// direct them. Nothing is lost by that: handshakes are completed by the kernel, and clients of unfinished requests
/// wait as well.
func suspend(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let registry = try openApp(request, directory)
    let (live, known) = try openLiveApp(request, directory)
    let report = HandoffView(request, live, registry).reporter
    // Not if it was killed before all of them stood still.
    if known.app.suspended == live.id, known.running(live.id).allSatisfy({ $0.isStill }) { return report(.isSuspended) }
    if !request.isInPlace, registry.loadDeployment(of: live) != nil {
        report(.suspendsAnew)
        return try runDeploy(request.again(with: [Setting(.suspended)], directory), nil)
    }
    // From here on the live copies themselves are stopped.
    let lock = try registry.lock()
    let state = AppState.reconciled(registry)
    guard state.app.live?.id == live.id else {
        throw Failure(.negative, "suspend", "app \(registry.app)", "another generation has taken over meanwhile")
    }
    // Stored first: a copy that a supervisor starts again meanwhile reads this, and is suspended, too.
    state.app.suspended = live.id
    try state.store(in: registry)
    let copies = state.running(live.id).filter { $0.state == .live }
    // Stopped copies accept nothing, so all that comes has to fit into their accept queues.
    report(.room(widenBacklogs(of: copies)))
    try suspend(copies)
    lock.release(closing: ())
    report(.standsStill(isWanted: request.isInPlace))
}
