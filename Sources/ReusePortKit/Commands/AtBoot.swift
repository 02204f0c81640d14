import CLinux

/// `enable`: keeps how the live generation was deployed, so that `boot` deploys it again.
func enable(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let app = request.app ?? ""
    let state = try keepForBoot(app, in: directory, request.stateDirectory, isAsked: true)
    request.say(.isKept(in: state ?? ""), about: app)
}

/// `disable`: removes what `enable` has kept.
func disable(_ request: VerbRequest) throws(Failure) {
    let app = request.app ?? ""
    let state = try stateDirectory(request.stateDirectory)
    if try disable(app, in: state) { return request.say(.startsAtBoot(false), about: app) }
    throw Failure(
        .negative, "disable", "app \(app)", "it does not start at boot",
        remedy: others(in: state) { keptDeployment($0, in: state) != nil })
}

/// Whether `boot` deploys an app, by the options with which it was deployed.
func isEnabled(_ app: ByteString, _ options: Options?) -> Bool {
    guard let state = try? stateDirectory(options?.request.stateDirectory) else { return false }
    return keptDeployment(app, in: state) != nil
}

/// Returns whether it was enabled.
func disable(_ app: ByteString, in stateDirectory: ByteString) throws(Failure) -> Bool {
    guard let kept = try Registry.open(app, in: stateDirectory, create: false) else { return false }
    let deployments = kept.loadDeployments()
    kept.remove(deployments, but: [])
    _ = reason { () throws(Errno) in
        try removeDirectory(app, in: try open("..", in: kept.folder, O_RDONLY | O_DIRECTORY))
    }
    return !deployments.isEmpty
}

/// `boot`: deploys all apps that are enabled and do not run, each by a process of its own.
func boot(_ request: VerbRequest) throws(Failure) {
    let state = try stateDirectory(request.stateDirectory)
    var started: [(app: ByteString, pid: Int32)] = []
    for app in try appNames(in: state) {
        guard let directory = keptDeployment(app, in: state).flatMap({ try? $0.options().request.runDirectory }),
            !runs(app, directory)
        else { continue }
        var words = ["reuseport-exec", "deploy", app, "--run-dir", directory, "--state-dir", state] as [ByteString]
        if request.verbosity == .quiet { words.append("--quiet") }
        let pid = try step("start", "app \(app)") { () throws(Errno) in
            let environment = CStrings(callersEnvironment())
            let standard = StandardDescriptors(output: 1, error: 2)
            return try spawn("/proc/self/exe", CStrings(words), environment, in: .inherited, standard)
        }
        started.append((app, pid))
    }
    var failed: [ByteString] = []
    for (app, pid) in started {
        var status: Int32 = 0
        _ = try? uninterrupted { waitpid(pid, &status, 0) }
        if status != 0 { failed.append(app) }
    }
    if failed.isEmpty { return }
    throw Failure(.negative, "start", joined(failed, by: ", "), "see the lines above")
}

/// Whether one of its generations is live, or about to be.
func runs(_ app: ByteString, _ directory: ByteString) -> Bool {
    guard let registry = try? Registry.open(app, in: directory, create: false) else { return false }
    let state = registry.settled()
    return state.app.live != nil || state.app.starting != nil
}

/// Keeps the new state after a deploy or `scale`. A failure is only reported: the copies serve.
func refresh(_ app: ByteString, in directory: ByteString, isAsked: Bool = false, _ report: Reporter) {
    do throws(Failure) {
        try keepForBoot(app, in: directory, nil, isAsked: isAsked)
    } catch {
        report(.problem(error))
    }
}

/// Keeps how an app's live generation was deployed, if it starts at boot or is to do so from now on. Returns where.
@discardableResult
func keepForBoot(
    _ app: ByteString, in directory: ByteString, _ stateDirectory: ByteString?, isAsked: Bool
) throws(Failure) -> ByteString? {
    guard let registry = try Registry.open(app, in: directory, create: false) else { throw unknown(app, directory) }
    let known = try liveDeployment(registry)
    let recorded = try known.options().request.stateDirectory
    let state: ByteString
    do throws(Failure) {
        state = try ReusePortKit.stateDirectory(stateDirectory ?? recorded)
    } catch {
        if isAsked { throw error }
        return nil
    }
    if !isAsked, keptDeployment(app, in: state) == nil { return nil }
    guard let kept = try Registry.open(app, in: state, create: true) else { return nil }
    let deployment = known.copied
    deployment.generation = 0
    // Recorded even if it is the default, which depends on the environment.
    deployment.record(known.settings(with: [Setting(.runDirectory, directory)]))
    try kept.store(deployment)
    return state
}
