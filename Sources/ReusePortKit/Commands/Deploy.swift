import CLinux

/// A deploy of which everything is understood, looked up and checked.
struct PreparedDeploy {
    let app: AppRequest
    let options: Options
    let plan: Plan
    let deployment: Deployment

    /// How it is shown. Where the copies write to the same place, nothing can be drawn.
    var view: HandoffView {
        var isShared = false
        if case .inherited? = options.deploy.log { isShared = options.deploy.supervision == nil }
        return HandoffView(app: app.name, verbosity: app.verbosity, isShared: isShared)
    }
}

/// `deploy`, `start` and `migrate`: what is not said is taken from the last time.
func runDeploy(_ request: DeployRequest) throws(Failure) { try run(try prepare(request)) }

/// Changes nothing but the working directory.
func prepare(_ request: DeployRequest) throws(Failure) -> PreparedDeploy {
    let (settings, command) = try completed(request)
    let options = try Options(settings, command: command, isDeploy: true)
    guard var app = options.app else { throw Failure("find", "the app", .noEntry) }
    if options.deploy.countsProcessors { app.copies = min(Bank.copies, processorCount()) }
    app.isSuspended = options.deploy.isSuspended
    // All at once: what finishes would still use the database that is about to change.
    if app.isSuspended { app.keepRetired = 0 }
    options.app = app
    let plan = try Plan(options)
    let deployment = Deployment(
        generation: 0, directory: try currentDirectory(), try settings.map(anchored), command: command,
        configuration: try snapshot(settings))
    return PreparedDeploy(app: app, options: options, plan: plan, deployment: deployment)
}

func run(_ deploy: PreparedDeploy) throws(Failure) {
    let (app, options, plan, deployment) = (deploy.app, deploy.options, deploy.plan, deploy.deployment)
    if options.isDryRun {
        let copies = app.copies
        return try write(options.isJSON ? showAsJSON(plan, app, copies: copies) : show(plan, app, copies: copies))
    }
    let report = deploy.view.reporter
    if let target = options.deploy.supervision {
        try deployServices(app, Array(0..<app.copies), options.deploy, on: target, deployment, report)
    } else {
        try deployCopies(plan, app, Array(0..<app.copies), log: options.deploy.log, deployment, report)
    }
    if let directory = try? runDirectory(of: app) {
        removeRetiredServices(of: app.name, in: directory) { report(.problem($0)) }
    }
}

/// Copies for the live generation, started as those that are there were.
func addCopies(
    _ numbers: [Int], to live: GenerationRecord, _ deployment: Deployment, _ verbosity: Verbosity,
    runDirectory: ByteString, holdsTurn: Bool = false
) throws(Failure) {
    let copies = try prepareCopies(numbers, to: live, deployment, verbosity, runDirectory: runDirectory)
    let report = copies.view.reporter
    if let target = copies.options.deploy.supervision {
        try deployServices(
            copies.app, numbers, copies.options.deploy, on: target, deployment, holdsTurn: holdsTurn, report)
    } else {
        try deployCopies(copies.plan, copies.app, numbers, log: copies.options.deploy.log, deployment, report)
    }
}

/// Changes nothing but the working directory.
func prepareCopies(
    _ numbers: [Int], to live: GenerationRecord, _ deployment: Deployment, _ verbosity: Verbosity,
    runDirectory: ByteString
) throws(Failure) -> PreparedDeploy {
    try enter(deployment)
    let options = try deployment.options()
    guard var app = options.app else { throw Failure("find", "the app", .noEntry) }
    (app.generation, app.joins, app.copies) = (live.label, live.id, max(live.copies, (numbers.max() ?? 0) + 1))
    (app.verbosity, app.runDirectory) = (verbosity, runDirectory)
    let registry = try Registry.open(app.name, in: runDirectory, create: false)
    app.isSuspended = registry?.loadApp()?.suspended == live.id
    options.app = app
    return PreparedDeploy(app: app, options: options, plan: try Plan(options), deployment: deployment)
}

private func enter(_ deployment: Deployment) throws(Failure) {
    try step("enter", deployment.directory) { () throws(Errno) in
        try deployment.directory.withCString { path throws(Errno) in try checked(chdir(path)) }
    }
}

/// What was asked for, with what the live generation was deployed with where no command is named.
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

/// With what the live generation was deployed; or, where none is live, the last one that was.
func liveDeployment(_ registry: borrowing Registry) throws(Failure) -> Deployment {
    let app = AppState.reconciled(registry).app
    // Also one that is about to end: a restart may have been killed before it has started the next.
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

/// What the configuration file says, by itself.
private func snapshot(_ settings: [Setting]) throws(Failure) -> ByteString? {
    guard let config = settings.first(where: { $0.option.key == .config }) else { return nil }
    let path = resolve(config.value, against: try currentDirectory())
    let text = try readTrusted(path)
    return try parseConfiguration(text, path).base == nil ? "relative-to: \(directory(of: path))\n\(text)" : text
}

/// A configuration file is found again from anywhere.
private func anchored(_ setting: Setting) throws(Failure) -> Setting {
    var setting = setting
    if setting.option.key == .config { setting.value = resolve(setting.value, against: try currentDirectory()) }
    return setting
}

extension VerbRequest {
    /// What the live generation was deployed with, deployed again.
    func again(with settings: [Setting], _ directory: ByteString) -> DeployRequest {
        func setting(_ key: Option.Key, _ value: ByteString) -> Setting {
            Setting(option: .of(key), value: value, origin: .commandLine)
        }
        var all = settings + [setting(.app, app ?? ""), setting(.runDirectory, directory)]
        if verbosity == .quiet { all.append(setting(.quiet, "")) }
        if verbosity == .everything { all.append(setting(.debug, "")) }
        return DeployRequest(settings: all, command: [])
    }
}
