import CLinux

/// `restart`: stops all copies of the live generation, or one, then starts them again.
func restart(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let registry = try openApp(request, directory)
    try awaitStarting(registry, until: .command)
    let (live, state) = try openLiveApp(request, directory)
    let copies = state.running(live.id).filter { request.copy == nil || $0.copy == request.copy }
    guard let first = copies.first else {
        throw Failure(
            .negative, "restart", "app \(registry.app)",
            request.copy.map { "copy \($0) of generation \(live.label) does not run" } ?? "none of its copies runs")
    }
    let report = HandoffView(request, live, registry).reporter
    let known = registry.loadDeployment(of: live)
    // A suspended generation is replaced without being stopped first: to stop, its copies would have to go on, and would
    // accept the connections that wait for the new ones.
    let isPaused = state.app.suspended == live.id && request.copy == nil
    if copies.allSatisfy({ $0.supervisor != nil }), !isPaused || known == nil {
        if let known {
            try checkStart(try prepareCopies(copies.map { $0.copy }, of: live, known, request, directory))
        }
        return try restartSupervised(copies, of: live.id, registry, report)
    }
    let deployment = try liveDeployment(registry)
    if request.copy == nil {
        // The new generation is suspended, too, until somebody says resume.
        let pause = [Setting(.suspended)]
        // Checked before anything is stopped.
        let next = try prepare(request.again(with: isPaused ? pause : [], directory))
        try checkStart(next)
        // Two generations cannot have one label, which a configuration file may give.
        if !isPaused || next.request.generation == live.label { try endGenerations(request, directory) }
        return try run(next)
    }
    let next = try prepareCopies([first.copy], of: live, deployment, request, directory)
    try checkStart(next)
    try withdraw([first], registry)
    try endWithdrawn([first], of: live.id, in: registry, report)
    try next.start(HandoffView(next).reporter)
}

/// Stops copies that a supervisor starts again, and waits for the new ones.
private func restartSupervised(
    _ copies: [CopyRecord], of live: UInt64, _ registry: borrowing Registry, _ report: Reporter
) throws(Failure) {
    try withdraw(copies, registry)
    let ending = Ending(
        drain: .accepted(settle: nil), order: .together, turn: .seconds(60), tellsSupervisors: false)
    try checkStopped(try endCopies(copies, of: live, ending, in: registry, report), registry.app)
    let deadline = Deadline(after: .seconds(60))
    let changes = try step("watch", registry.path) { () throws(Errno) in try FileWatch(in: registry) }
    while true {
        let state = AppState.reconciled(registry)
        let missing = copies.filter { old in
            !state.copies.contains {
                $0.fileName == old.fileName && $0.process != old.process && $0.state == .live
            }
        }
        guard let late = missing.first else { return }
        if deadline.hasPassed {
            throw Failure(
                .negative, "restart", "copy \(late.copy) of app \(registry.app)",
                "its supervisor has not started it again within 60 s")
        }
        changes.wait(until: min(deadline, Deadline(after: Milliseconds(500))))
    }
}

/// Directs no more connections to these copies.
private func withdraw(_ copies: [CopyRecord], _ registry: borrowing Registry) throws(Failure) {
    try registry.change { (state: inout AppState) throws(Failure) in try state.withdraw(copies) }
}
