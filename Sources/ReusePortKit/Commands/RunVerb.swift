import CLinux

/// Does what a verb says; its answer goes to standard output.
func runVerb(_ request: VerbRequest) throws(Failure) {
    let directory: ByteString
    if let given = request.runDirectory { directory = given } else { directory = try defaultRunDirectory() }
    switch request.verb {
    case .list, .count, .state: try report(request, directory)
    case .wait: try awaitGeneration(request, directory)
    case .check: try checkGeneration(request, directory)
    case .retire, .terminate: try endGenerations(request, directory)
    case .scale: try scale(request, directory)
    case .restart: try restart(request, directory)
    case .suspend: try suspendApp(request, directory)
    case .resume: try resumeApp(request, directory)
    case .finish: try finishCopy(request, directory)
    case .deploy: break
    }
}

/// The apps with what is known of them; one app that is asked for must be there.
func knownApps(_ request: VerbRequest, _ directory: ByteString) throws(Failure) -> [(name: ByteString, state: AppState)]
{
    var names: [ByteString] = []
    if let app = request.app {
        names = [app]
    } else if let folder = try? open(directory, O_RDONLY | O_DIRECTORY) {
        names = entryNames(of: folder).filter { (try? parseLabel($0, "")) != nil }
            .ordered { $0.precedes($1) }
    }
    var apps: [(name: ByteString, state: AppState)] = []
    for name in names {
        guard let registry = try Registry.open(name, in: directory, create: false) else { continue }
        apps.append((name, AppState.reconciled(registry)))
    }
    if let app = request.app, apps.isEmpty { throw unknown(app, directory) }
    return apps
}

func unknown(_ app: ByteString, _ directory: ByteString) -> Failure {
    Failure(.negative, "find", "app \(app)", "nothing is registered in \(directory)")
}

/// The app that a verb is about, with its live generation.
func openLiveApp(_ request: VerbRequest, _ directory: ByteString) throws(Failure) -> (GenerationRecord, AppState) {
    let registry = try openApp(request, directory)
    let state = AppState.reconciled(registry)
    guard let live = state.app.live else {
        throw Failure(
            .negative, request.verb.names[0], "app \(registry.app)", "no generation of it is live",
            remedy: "start it, with reuseport-exec migrate \(registry.app) if deploy knows it")
    }
    return (live, state)
}

func openApp(_ request: VerbRequest, _ directory: ByteString) throws(Failure) -> Registry {
    guard let app = request.app, let registry = try Registry.open(app, in: directory, create: false) else {
        throw unknown(request.app ?? "", directory)
    }
    return registry
}

/// 0 if the generation is live with a copy that runs; else 1, with what it is instead.
private func checkGeneration(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    for (name, state) in try knownApps(request, directory) {
        guard let label = request.generation else {
            if let live = state.app.live, !state.running(live.order).isEmpty { return }
            throw Failure(.negative, "check", "app \(name)", "no generation of it is live")
        }
        if let live = state.app.live, live.label == label, !state.running(live.order).isEmpty { return }
        let found = state.app.generations.last { $0.label == label }
        throw Failure(
            .negative, "check", "generation \(label) of app \(name)",
            found.map { $0.state == .live ? "none of its copies runs" : "it is \($0.state.name)" } ?? "there is none")
    }
}

/// That some copy of an app runs on.
func notStopped(_ app: ByteString, _ refusal: StopRefusal) -> Failure {
    Failure(.negative, "stop", "app \(app)", refusal.description)
}

/// Ends generations that are not wanted any more, without a new one in their place.
func endGenerations(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let registry = try openApp(request, directory)
    let app = registry.app
    let report = HandoffView(app: app, verbosity: .quiet).reporter
    let lock = try registry.lock()
    var state = AppState.reconciled(registry)
    // A copy that has crashed, too, if its supervisor is about to start it again.
    func toStop(_ generation: GenerationRecord) -> [CopyRecord] {
        let isWanted = generation.state == .live || generation.state == .starting
        return state.copies(of: generation.order).filter { copy in
            copy.state != .ended
                || isWanted && copy.supervisor != nil && copy.copy < generation.copies && request.verb != .restart
        }
    }
    let chosen = state.app.generations.filter { generation in
        if toStop(generation).isEmpty { return false }
        let isOld = generation.state != .live && generation.state != .starting
        if request.verb == .retire || request.verb == .restart { return generation.state == .live }
        return !request.onlyRetired || isOld
    }
    if chosen.isEmpty {
        throw Failure(
            .negative, request.verb.names[0], "app \(app)",
            request.onlyRetired ? "it has no retired generation that runs" : "it has no generation that runs")
    }
    let stopped = chosen.map(toStop)
    for generation in chosen where generation.state == .live || generation.state == .starting {
        state.app.change(generation.order) { ($0.state, $0.since) = (.retiring, secondsSince1970()) }
    }
    try state.store(in: registry)
    lock.release(closing: ())
    var refused: StopRefusal?
    for (generation, copies) in zip(chosen, stopped) {
        var ending = Ending(drain: .none, order: .together, keepsFinishing: request.verb == .retire)
        ending.outcome = .ended(by: request.verb.names[0])
        // "Now" has no ten minutes; and those that were told to stop long ago have had their time.
        if request.verb == .terminate { ending.stopTimeoutAtMost = .seconds(5) }
        ending.killsAtOnce = request.onlyRetired
        let outcomes = try endCopies(copies, of: generation.order, ending, in: registry, report)
        for case .refused(let refusal) in outcomes { refused = refusal }
    }
    if let refused { throw notStopped(app, refused) }
    removeRetiredServices(of: app, in: directory) { report(.problem($0)) }
}

extension HandoffView {
    /// For a command on the live generation of an app.
    convenience init(_ request: VerbRequest, _ live: GenerationRecord, _ registry: borrowing Registry) {
        self.init(app: registry.app, verbosity: request.verbosity, subject: "\(registry.app) \(live.label)")
    }
}
