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
        .negative, "find", "app \(app)", "it is not registered in \(directory)", remedy: others(in: directory))
}

/// Names the apps of a run directory or state directory, for those who have mistyped one; nil if there is none.
@inline(never)
func others(in directory: ByteString, where isApp: (ByteString) -> Bool = { _ in true }) -> ByteString? {
    let names = ((try? appNames(in: directory)) ?? []).filter(isApp)
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
    return registry
}

extension HandoffView {
    /// For a command on the live generation of an app.
    convenience init(_ request: VerbRequest, _ live: GenerationRecord, _ registry: Registry) {
        self.init(app: registry.app, verbosity: request.verbosity, subject: "\(registry.app) \(live.label)")
    }
}
