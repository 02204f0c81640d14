import CLinux

/// `deploy`, `start` and `migrate`. What the command line leaves out is taken from the last deploy.
func runDeploy(_ request: DeployRequest) throws(Failure) {
    let deploy = try prepare(request)
    guard request.isGiven(.dryRun) else { return try run(deploy) }
    let (plan, app) = (deploy.plan, deploy.request)
    try write(
        request.isGiven(.json) ? showAsJSON(plan, app, copies: app.copies) : show(plan, app, copies: app.copies))
}

/// Looks up and checks a deploy. Changes nothing but the working directory.
func prepare(_ request: DeployRequest) throws(Failure) -> PreparedDeploy {
    let (settings, command) = try completed(request)
    let options = try Options(settings, command: command, isDeploy: true)
    guard var app = options.app else { throw Failure("find", "the app", .noEntry) }
    if options.deploy.countsProcessors { app.copies = min(Bank.copies, processorCount()) }
    app.isSuspended = options.deploy.isSuspended
    // Old copies end at once: one that finishes would still use the database that is about to change.
    if app.isSuspended { app.keepRetired = 0 }
    options.app = app
    let plan = try Plan(options)
    let deployment = Deployment(
        generation: 0, directory: try currentDirectory(), try settings.map(anchored), command: command,
        configuration: try snapshot(settings))
    return PreparedDeploy(
        request: app, numbers: Array(0..<app.copies), options: options.deploy, plan: plan, deployment: deployment)
}

func run(_ deploy: PreparedDeploy) throws(Failure) {
    let report = HandoffView(deploy).reporter
    try deploy.start(report)
    if let directory = try? runDirectory(of: deploy.request) {
        removeRetiredServices(of: deploy.request.name, in: directory) { report(.problem($0)) }
    }
}

extension HandoffView {
    /// For a command that starts copies. Nothing can be drawn if they write to the same place.
    convenience init(_ deploy: PreparedDeploy) {
        let isShared = deploy.options.log == .inherited && deploy.options.supervision == nil
        self.init(app: deploy.request.name, verbosity: deploy.request.verbosity, isShared: isShared)
    }
}

/// Looks up and checks copies for the live generation, which are started as those that are there were. Changes nothing
/// but the working directory.
func prepareCopies(
    _ numbers: [Int], of live: GenerationRecord, _ deployment: Deployment, _ request: VerbRequest,
    _ runDirectory: ByteString
) throws(Failure) -> PreparedDeploy {
    try enter(deployment)
    let options = try deployment.options()
    guard var app = options.app else { throw Failure("find", "the app", .noEntry) }
    (app.generation, app.joins, app.copies) = (live.label, live.id, max(live.copies, (numbers.max() ?? 0) + 1))
    (app.verbosity, app.runDirectory) = (request.verbosity, runDirectory)
    let registry = try Registry.open(app.name, in: runDirectory, create: false)
    app.isSuspended = registry?.loadApp()?.suspended == live.id
    options.app = app
    return PreparedDeploy(
        request: app, numbers: numbers, options: options.deploy, plan: try Plan(options), deployment: deployment)
}

private func enter(_ deployment: Deployment) throws(Failure) {
    try step("enter", deployment.directory) { () throws(Errno) in
        try deployment.directory.withCString { path throws(Errno) in try checked(chdir(path)) }
    }
}

/// Adds what the live generation was deployed with, if no command is named.
private func completed(_ request: DeployRequest) throws(Failure) -> ([Setting], [ByteString]) {
    let settings = request.settings
    guard request.command.isEmpty, !settings.contains(where: { $0.option.key == .config }),
        let app = settings.first(where: { $0.option.key == .app })
    else { return (settings, request.command) }
    let directory = try runDirectory(of: settings)
    guard let registry = try Registry.open(app.value, in: directory, create: false) else {
        throw .usage(
            "deploy", "app \(app.value)", "no command was given, and nothing is registered in \(directory)",
            remedy: "write reuseport-exec deploy \(app.value) [options] -- command")
    }
    let deployment = try liveDeployment(registry)
    try enter(deployment)
    return (deployment.settings(with: settings), deployment.command)
}

private func runDirectory(of settings: [Setting]) throws(Failure) -> ByteString {
    guard let setting = settings.first(where: { $0.option.key == .runDirectory }) else {
        return try defaultRunDirectory()
    }
    do throws(Malformed) {
        return try parseRunDirectory(setting.value)
    } catch {
        throw setting.failure(error)
    }
}

/// Finds how the live generation was deployed, or the last one that was, if none is live.
func liveDeployment(_ registry: borrowing Registry) throws(Failure) -> Deployment {
    let app = AppState.reconciled(registry).app
    // One that is about to end counts too: a restart may have been killed before it started the next.
    let past = app.generations.reversed().filter { $0.state != .starting && $0.state != .failed }
    let candidates = app.live.map { [$0] } ?? past
    for generation in candidates {
        if let deployment = registry.loadDeployment(of: generation) { return deployment }
    }
    throw Failure(
        .negative, "deploy", "app \(registry.app) again",
        candidates.isEmpty
            ? "it has not been deployed yet" : "generation \(candidates[0].label) was not started by deploy",
        remedy: "write reuseport-exec deploy \(registry.app) [options] -- command")
}

/// Reads the configuration file, to be kept as it is now, with the directory to which its paths are relative.
private func snapshot(_ settings: [Setting]) throws(Failure) -> ByteString? {
    guard let config = settings.first(where: { $0.option.key == .config }) else { return nil }
    let path = resolve(config.value, against: try currentDirectory())
    let text = try readTrusted(path)
    return try parseConfiguration(text, path).base == nil ? "relative-to: \(directory(of: path))\n\(text)" : text
}

/// Makes the path of a configuration file absolute, so that it is found again from anywhere.
private func anchored(_ setting: Setting) throws(Failure) -> Setting {
    var setting = setting
    if setting.option.key == .config { setting.value = resolve(setting.value, against: try currentDirectory()) }
    return setting
}

extension VerbRequest {
    /// Asks for another deploy of what is live.
    func again(with settings: [Setting], _ directory: ByteString) -> DeployRequest {
        var all = settings + [Setting(.app, app ?? ""), Setting(.runDirectory, directory)]
        if verbosity == .quiet { all.append(Setting(.quiet)) }
        if verbosity == .everything { all.append(Setting(.debug)) }
        return DeployRequest(settings: all, command: [])
    }
}
