import CLinux

/// Reads what is known of all apps, or of the one that is asked for; fails if that is not registered.
func knownApps(
    _ request: VerbRequest, _ directory: ByteString
) throws(Failure) -> [(name: ByteString, state: AppState)] {
    var names: [ByteString] = []
    if let app = request.app {
        names = [app]
    } else {
        names = try appNames(in: directory)
    }
    var apps: [(name: ByteString, state: AppState)] = []
    for name in names {
        guard let registry = try Registry.open(name, in: directory, create: false) else { continue }
        apps.append((name, registry.settled()))
    }
    if let app = request.app, apps.isEmpty { throw unknown(app, directory) }
    return apps
}

func unknown(_ app: ByteString, _ directory: ByteString) -> Failure {
    Failure(
        .negative, "find", "app \(app)", "it is not registered in \(directory)",
        remedy: rootHas(app) ?? others(in: directory))
}

/// Tells those who have forgotten sudo(8) that it is an app of root's; nil if it is not, or if this is root.
func rootHas(_ app: ByteString) -> ByteString? {
    let isThere = ("/run/reuseport-exec/\(app)" as ByteString).withCString { access($0, F_OK) } == 0
    return isThere && geteuid() != 0 ? "root has an app \(app): use sudo" : nil
}

/// Names the apps of a run directory or state directory, for those who have mistyped one; nil if there is none.
@inline(never)
func others(in directory: ByteString, where isApp: ((ByteString) -> Bool)? = nil) -> ByteString? {
    let names = ((try? appNames(in: directory)) ?? []).filter { name in
        if let isApp { return isApp(name) }
        // One whose first deploy was refused has no generation.
        let registry = try? Registry.open(name, in: directory, create: false)
        return (registry ?? nil)?.loadApp()?.generations.isEmpty == false
    }
    return names.isEmpty ? nil : "there is \(joined(names, by: ", "))"
}

/// Reads what is known of the verb's app, and finds its live generation.
func openLiveApp(_ request: VerbRequest, _ directory: ByteString) throws(Failure) -> (GenerationRecord, AppState) {
    let registry = try openApp(request, directory)
    let state = registry.settled()
    guard let live = state.app.live else {
        throw Failure(
            .negative, verb: request.verb.name, "app \(registry.app)", "no generation of it is live",
            remedy: "start it, with reuseport-exec migrate \(registry.app) if deploy knows it")
    }
    return (live, state)
}

@inline(never)
func openApp(_ request: VerbRequest, _ directory: ByteString) throws(Failure) -> Registry {
    guard let app = request.app, let registry = try Registry.open(app, in: directory, create: false) else {
        throw unknown(request.app ?? "", directory)
    }
    switch request.verb {
    case .state, .check, .wait, .next: break
    default: try registry.refuseOthers()
    }
    return registry
}

extension Registry {
    /// Refuses users who may neither change the app nor read how it was deployed.
    func refuseOthers() throws(Failure) {
        guard geteuid() != 0, let owner = try? status(of: folder).owner, owner != geteuid() else { return }
        throw Failure(
            .negative, "open", "app \(app)", owner == 0 ? "it is root's" : "it is another user's",
            remedy: owner == 0 ? "use sudo" : nil)
    }
}

extension HandoffView {
    /// For a command on the live generation of an app.
    convenience init(_ request: VerbRequest, _ live: GenerationRecord, _ registry: Registry) {
        self.init(app: registry.app, verbosity: request.verbosity, subject: "\(registry.app) \(live.label)")
    }
}
