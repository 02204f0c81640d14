import CLinux

/// `restart`: starts the copies of the live generation anew, one after the other while the others serve. With `--copy`
/// it is one copy, and with `--at-once` all are stopped before one is started.
func restart(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let registry = try openApp(request, directory)
    try awaitStarting(registry, until: .command)
    let (live, state) = try openLiveApp(request, directory)
    let copies = state.running(live.id).filter { request.copy == nil || $0.copy == request.copy }
    guard let first = copies.first else {
        // What has ended is started again, but by its supervisor if it has one.
        let isSupervised = state.copies(of: live.id).contains { $0.supervisor != nil }
        if !isSupervised, state.app.suspended != live.id, request.copy ?? 0 < live.copies,
            let known = registry.loadDeployment(of: live)
        {
            guard let copy = request.copy else {
                let next = try prepare(request.again(with: [], directory))
                try checkStart(next)
                return try run(next, HandoffView(next).reporter)
            }
            let one = try prepareCopies([copy], of: live, known, request, directory)
            try checkStart(one)
            return try one.start(HandoffView(one).reporter)
        }
        throw Failure(
            .negative, "restart", "app \(registry.app)",
            request.copy.map { "copy \($0) of generation \(live.label) does not run" } ?? "none of its copies runs",
            remedy: "see reuseport-exec state \(registry.app)")
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
        if request.copy == nil, copies.count == 1 || request.isAtOnce {
            report(.refuses)
            return try restartSupervised(copies, of: live.id, drains: false, registry, report)
        }
        for copy in copies {
            // It may have been started again meanwhile.
            let now = AppState.reconciled(registry).running(live.id).filter { $0.copy == copy.copy }
            try restartSupervised(now, of: live.id, drains: true, registry, report)
        }
        return
    }
    let deployment = try liveDeployment(registry)
    if request.copy == nil {
        // The new generation is suspended, too, until somebody says resume.
        let pause = [Setting(.suspended)]
        // Checked before anything is stopped.
        let next = try prepare(request.again(with: isPaused ? pause : [], directory))
        try checkStart(next)
        if !isPaused, !request.isAtOnce, try restartInTurn(next, live, deployment, registry, report) { return }
        if !isPaused { report(.refuses) }
        // Two generations cannot have one label, which a configuration file may give.
        let ends = !isPaused || next.request.generation == live.label
        if ends { try endGenerations(request, directory) }
        do throws(Failure) {
            return try run(next, HandoffView(next).reporter)
        } catch {
            if !ends { throw error }
            throw Failure(
                error.code, verb: error.step, error.object, error.reason,
                remedy: "nothing serves now; mend it, then reuseport-exec migrate \(registry.app)")
        }
    }
    // Without another copy clients would be refused meanwhile.
    if live.copies == 1, state.app.suspended != live.id {
        let anew = try prepare(request.again(with: [], directory))
        try checkStart(anew)
        if try restartInTurn(anew, live, deployment, registry, report) { return }
        report(.refuses)
    } else if state.app.suspended != live.id, (try? state.serving(live.id)) == 1 {
        report(.refuses)
    }
    let next = try prepareCopies([first.copy], of: live, deployment, request, directory)
    try checkStart(next)
    try withdraw([first], registry)
    try endWithdrawn([first], of: live.id, in: registry, report)
    try next.start(HandoffView(next).reporter)
}

/// Restarts copies one after the other, with what is there now; false, before anything is changed, if clients would be
/// refused meanwhile.
///
/// One more copy is started first. If it fails, nothing has been stopped; and it serves while each of the others is away.
/// After a failure or a kill the copies that are there serve on, and the next restart or `scale` has as many as before.
private func restartInTurn(
    _ next: PreparedDeploy, _ live: GenerationRecord, _ known: Deployment, _ registry: Registry, _ report: Reporter
) throws(Failure) -> Bool {
    let app = next.request
    let count = app.copies
    func names(_ plan: Plan) -> [ByteString] { plan.sockets.map { $0.object } }
    guard names(next.plan) == names(try Plan(try known.options())) else {
        throw Failure(
            .negative, "restart", "app \(registry.app)", "it has other sockets now",
            remedy: "reuseport-exec migrate \(registry.app) replaces all copies together")
    }
    app.copies = max(live.copies, count + 1)
    // Two copies can have neither one path nor a file that may not exist before.
    let hasSpare =
        count < Bank.copies && (try? check(app, next.plan)) != nil
        && !next.plan.files.contains { $0.request.isExclusive }
    if !hasSpare && count == 1 || next.options.supervision != nil {
        app.copies = count
        return false
    }
    (app.generation, app.joins) = (live.label, live.id)
    // No deploy may come between, as in `scale`.
    let turn = try registry.lock(.deploy, until: .command)
    func running(_ number: Int) -> [CopyRecord] {
        AppState.reconciled(registry).running(live.id).filter { $0.copy == number }
    }
    func start(_ number: Int) throws(Failure) {
        let copy = PreparedDeploy(
            request: app, numbers: [number], options: next.options, plan: next.plan, deployment: next.deployment)
        try startApart(copy)
    }
    // If this is killed, the next deploy has as many as this one.
    next.deployment.record(next.deployment.settings(with: [Setting(.copies, ByteString(decimal: count))]))
    _ = try remember(count, registry, live)
    if hasSpare {
        // An earlier restart may have left one, which may be about to stop.
        let left = running(count)
        if !left.contains(where: { $0.state == .live }) {
            if !left.isEmpty {
                try withdraw(left, registry)
                try endWithdrawn(left, of: live.id, in: registry, report)
            }
            try start(count)
        }
        report(.standsIn(copy: count))
    }
    // Copies that are added from here on are like these.
    try registry.store(next.deployment.of(live))
    for number in 0..<count {
        let old = running(number)
        if !old.isEmpty {
            try withdraw(old, registry)
            try endWithdrawn(old, of: live.id, in: registry, report)
        }
        try start(number)
    }
    try shrink(registry, live, to: count, report)
    if let directory = app.runDirectory { refresh(registry.app, in: directory, report) }
    report(.restarted(copies: count))
    turn.release(closing: ())
    return true
}

/// Starts copies in a process of its own. A handoff changes the signals and limits of its process, which copies of a
/// later one would inherit, and keeps their listeners open until old copies have ended.
private func startApart(_ copies: PreparedDeploy) throws(Failure) {
    let answer = try step("start", "copies of app \(copies.request.name)") { () throws(Errno) in
        try inExpendableProcess(until: Deadline(after: .longest)) { () throws(Errno) in
            // The signal lets it end what it has started.
            _ = clinux_prctl(PR_SET_PDEATHSIG, UInt(SIGTERM), 0, 0, 0)
            do throws(Failure) {
                try copies.start(HandoffView(copies).reporter)
                return ""
            } catch {
                return "\(error.remedy ?? "")\n\(error.reason)"
            }
        }
    }
    if answer.isEmpty { return }
    let (remedy, reason) = answer.cut(at: UInt8(ascii: "\n")) ?? (answer, "")
    throw Failure(
        .negative, "restart", "app \(copies.request.name)", reason, remedy: remedy.isEmpty ? nil : remedy)
}

/// Stops copies that a supervisor starts again, and waits for the new ones.
private func restartSupervised(
    _ copies: [CopyRecord], of live: UInt64, drains: Bool, _ registry: Registry, _ report: Reporter
) throws(Failure) {
    try withdraw(copies, registry)
    var ending = Ending(
        drain: .accepted(settle: nil), order: .together, turn: .seconds(60), tellsSupervisors: false)
    if !drains { ending.connections = nil }
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
private func withdraw(_ copies: [CopyRecord], _ registry: Registry) throws(Failure) {
    try registry.change { (state: AppState) throws(Failure) in try state.withdraw(copies) }
}
