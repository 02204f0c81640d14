import CLinux

/// `resume`: continues suspended copies. After a failure the app still counts as suspended, so that `resume` can be tried
/// again.
func resume(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let registry = try openApp(request, directory)
    let lock = try registry.lock()
    let state = AppState.reconciled(registry)
    let copies = state.app.live.map { state.running($0.id) } ?? []
    let isSuspended =
        state.app.suspended != nil || copies.contains { $0.isStill }
    // If all copies have ended, the app is only recorded as not suspended.
    guard isSuspended else {
        throw Failure(.negative, "resume", "app \(registry.app)", "it is not suspended")
    }
    var refused: Failure?
    for copy in copies {
        do throws(Errno) {
            try resume(copy.process)
        } catch {
            // A copy that has just ended needs nothing.
            if error != .noProcess { refused = Failure("resume", "pid \(copy.process.pid)", error) }
        }
    }
    if let live = state.app.live, let failure = state.wake(live.id) { refused = failure }
    if refused == nil { state.app.suspended = nil }
    // Stored even after a failure: copies that got the message to go on do not get it again.
    try state.store(in: registry)
    if let refused { throw refused }
    lock.release(closing: ())
    if let live = state.app.live { request.say(.goesOn(live.label), about: registry.app) }
}
