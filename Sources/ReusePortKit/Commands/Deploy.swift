import CLinux

/// `deploy`, `start` and `migrate`. What the command line leaves out is taken from the last deploy.
///
/// `line` is the entry of the history; nil if a verb has begun one already.
func runDeploy(_ request: DeployRequest, _ line: HistoryLine?) throws(Failure) {
    let isJSON = request.isGiven(.json)
    if request.isGiven(.dryRun) {
        let deploy = try prepare(request)
        let (plan, app) = (deploy.plan, deploy.request)
        return try write(isJSON ? showAsJSON(plan, app, copies: app.copies) : show(plan, app, copies: app.copies))
    }
    // Before it is replaced by that of an earlier deploy.
    let environment = callersEnvironment()
    let outcome = DeployReport(isJSON: isJSON)
    var prepared: PreparedDeploy?
    var failure: Failure?
    do throws(Failure) {
        let deploy = try prepare(request)
        prepared = deploy
        if let line, let directory = deploy.request.runDirectory { line.begin(deploy.request.name, in: directory) }
        let view = HandoffView(deploy, isJSON: isJSON)
        view.listener = outcome
        try run(deploy, view.reporter)
    } catch {
        failure = error
    }
    outcome.end(failure)
    // Where nothing has been started, the operator wants to know that this has harmed nobody.
    if failure != nil, let app = prepared?.request, let directory = app.runDirectory,
        let registry = try? Registry.open(app.name, in: directory, create: false),
        let live = AppState.reconciled(registry).presence
    {
        if outcome.label.isEmpty { say(.servesOn(live), app) }
        let options = request.passingOptions
        if !options.isEmpty { say(.forgetsOptions(options), app) }
    }
    if let prepared, let command = prepared.options.onDeploy {
        runOnDeploy(command, of: prepared.request, outcome, hasFailed: failure != nil, environment)
    }
    if let failure { throw failure }
}

/// Looks up and checks a deploy. Changes nothing but the working directory.
func prepare(_ request: DeployRequest) throws(Failure) -> PreparedDeploy {
    let caller = try? currentDirectory()
    var (settings, command, last) = try completed(request)
    let here = last == nil ? environmentVariable("PWD") : last?.named
    let options = try Options(
        settings, command: command, isDeploy: true, configuration: request.base?.configuration)
    guard let app = options.app else { throw Failure("find", "the app", .noEntry) }
    if let place = request.base?.chdir { options.launch.chdir = place }
    // Decided here, because the environment may change.
    app.runDirectory = try? runDirectory(of: app)
    if options.deploy.countsProcessors { app.copies = min(Bank.copies, processorCount()) }
    if let directory = app.runDirectory, let registry = try? Registry.open(app.name, in: directory, create: false) {
        if request.isMigration, last == nil { last = try? liveDeployment(registry) }
        let known = registry.loadApp()
        let live = known?.live
        let before = live?.copies
        if let before, before > 1, options.deploy.keepsCopies || !options.isGiven(.copies) {
            app.copies = before
            settings.removeAll { $0.option.key == .copies }
            settings.append(Setting(.copies, ByteString(decimal: before)))
            if !options.deploy.keepsCopies { say(.keepsCopies(before), app) }
        }
        if let before, before != app.copies { say(.changesCopies(app.copies, before: before), app) }
        if let live, request.base == nil { compare(options, with: live, registry) }
        if let live, known?.suspended == live.id, !options.deploy.isSuspended { say(.endsSuspension, app) }
    }
    if request.base == nil, !request.isGiven(.chdir), let last, let caller, last.directory != caller,
        (try? currentDirectory()) != caller
    {
        say(.runsElsewhere(options.launch.chdir ?? last.named ?? last.directory), app)
    }
    app.isSuspended = options.deploy.isSuspended
    // Old copies end at once: one that finishes would still use the database that is about to change.
    if app.isSuspended { app.keepRetired = 0 }
    let plan = try Plan(options)
    if last == nil, geteuid() == 0, plan.identity.user == nil { say(.runsAsRoot, app) }
    if last == nil, let path = plan.sockets.first(where: { $0.isOwnersAlone })?.pattern {
        let user = geteuid()
        say(.isOwnersAlone(path, (try? account(id: user))?.name ?? ByteString(decimal: user)), app)
    }
    if plan.isNginx, !options.isGiven(.stopSignal), !options.isGiven(.dryRun) { say(.nginxBreaksOff, app) }
    let directory = try currentDirectory()
    let named = here.flatMap { isWorkingDirectory($0) ? $0 : nil }
    // A name that leads elsewhere by now is kept after a rollback, for the deploys that follow.
    let deployment = Deployment(
        generation: 0, directory: directory, named: request.base == nil ? named : here, settings: [],
        command: command, configuration: try configuration(of: request, settings))
    let name = named ?? directory
    deployment.record(settings.map { anchored($0, in: name) })
    deployment.chdir = request.base?.chdir ?? withoutLinks(plan)
    if request.isGiven(.updateEnvironment) { last = nil }
    deployment.environment = restoreEnvironment(of: last, options, in: name)
    return PreparedDeploy(
        request: app, numbers: Array(0..<app.copies), options: options.deploy, plan: plan, deployment: deployment)
}

/// Says which options of the live generation are not given now, and whether it was started elsewhere: forgetting one is
/// easy, and without `--user` the copies would be root's.
private func compare(_ options: Options, with live: GenerationRecord, _ registry: Registry) {
    guard let before = registry.loadDeployment(of: live), let known = try? before.options() else { return }
    // A name such as `current` is meant to lead elsewhere.
    if !options.isGiven(.chdir), let here = try? currentDirectory(), here != before.directory,
        before.named == nil || before.named != environmentVariable("PWD")
    {
        say(.changesDirectory(here, before: before.directory, of: live.label), options.request)
    }
    let missing = Option.all.filter { option in
        option.isHabit && option.key != .copies && known.isGiven(option.key) && !options.isGiven(option.key)
            && !(option.rival.map { options.isGiven($0) } ?? false)
    }
    if missing.isEmpty { return }
    let words = missing.map { option in
        Setting(option.key, before.settings.first { $0.name == option.text }?.value ?? "").shown
    }
    say(.leavesOut(words, of: live.label, isUser: missing.contains { $0.key == .user }), options.request)
}

extension DeployRequest {
    /// The options that it adds to those of the deploy before. They are kept with the generation that they are for.
    fileprivate var passingOptions: [ByteString] {
        guard base == nil, isMigration || command.isEmpty else { return [] }
        return settings.filter { $0.option.isHabit }.map { $0.shown }
    }
}

extension Option {
    /// Whether it is kept for later deploys, and is more than a name or a place.
    fileprivate var isHabit: Bool {
        let others: [Key] = [.app, .generation, .config, .runDirectory, .stateDirectory]
        return places.contains(.record) && !others.contains(key)
    }
}

/// Makes the environment of the last deploy, if there is one, this process's, from which the copies get it. Returns what
/// is to be recorded of it.
@inline(never)
private func restoreEnvironment(
    of last: Deployment?, _ options: Options, in directory: ByteString
) -> [ByteString] {
    let present = recorded(callersEnvironment(), options.launch)
    if let last {
        let clears = options.launch.clearsEnvironment
        // What was recorded with --clear-env is not enough without it.
        if let kept = last.environment, clears || (try? last.options())?.launch.clearsEnvironment == false {
            if !clears { changeEnvironment(present.map(variableName)) }
            changeEnvironment(kept)
            let differing = differences(recorded(callersEnvironment(), options.launch), present)
            if !differing.isEmpty { say(.keepsEnvironment(differing), options.request) }
        } else {
            say(.lostEnvironment, options.request)
        }
    }
    if environmentVariable("PWD") != nil { changeEnvironment(["PWD=\(directory)"]) }
    return recorded(callersEnvironment(), options.launch)
}

/// Says something before there is a generation.
@inline(never)
private func say(_ event: HandoffEvent, _ app: AppRequest) {
    HandoffView(app: app.name, verbosity: app.verbosity).reporter(event)
}

extension VerbRequest {
    /// Says something about an app.
    @inline(never)
    func say(_ event: HandoffEvent, about app: ByteString) {
        HandoffView(app: app, verbosity: verbosity).reporter(event)
    }
}

func run(_ deploy: PreparedDeploy, _ report: Reporter) throws(Failure) {
    try deploy.start(report)
    if let directory = try? runDirectory(of: deploy.request) {
        refresh(deploy.request.name, in: directory, isAsked: deploy.options.startsAtBoot, report)
        clearServices(of: deploy.request.name, in: directory, report)
    }
}

extension HandoffView {
    /// For a command that starts copies. Nothing can be drawn if they, or JSON, are written to the same place.
    convenience init(_ deploy: PreparedDeploy, isJSON: Bool = false) {
        let isShared = deploy.options.log == .inherited && deploy.options.supervision == nil
        self.init(app: deploy.request.name, verbosity: deploy.request.verbosity, isShared: isShared || isJSON)
    }
}

/// Looks up and checks copies for the live generation, which are started as those that are there were. Changes nothing
/// but the working directory.
@inline(never)
func prepareCopies(
    _ numbers: [Int], of live: GenerationRecord, _ known: Deployment, _ request: VerbRequest,
    _ runDirectory: ByteString
) throws(Failure) -> PreparedDeploy {
    let deployment = known.copied
    // The others run there, even if the name leads elsewhere by now.
    try enter(
        known.directory, remedy: "the running copies are from there; reuseport-exec migrate starts all of them anew")
    let options = try known.options()
    guard let app = options.app else { throw Failure("find", "the app", .noEntry) }
    (app.generation, app.joins, app.copies) = (live.label, live.id, max(live.copies, (numbers.max() ?? 0) + 1))
    (app.verbosity, app.runDirectory) = (request.verbosity, runDirectory)
    let registry = try Registry.open(app.name, in: runDirectory, create: false)
    app.isSuspended = registry?.loadApp()?.suspended == live.id
    let name = known.named.flatMap { isWorkingDirectory($0) ? $0 : nil } ?? known.directory
    deployment.environment = restoreEnvironment(of: known, options, in: name)
    return PreparedDeploy(
        request: app, numbers: numbers, options: options.deploy, plan: try Plan(options), deployment: deployment)
}

extension SocketPlan {
    /// Whether only the owner of a Unix socket's file can connect, as the usual umask has it.
    fileprivate var isOwnersAlone: Bool { transport == .unix && mode == nil && owner == nil && group == nil }
}

/// Where `--chdir` leads, if its path has links.
private func withoutLinks(_ plan: Plan) -> ByteString? {
    guard plan.chroot == nil, let path = plan.chdir, let directory = try? open(path, CLINUX_O_PATH | O_DIRECTORY),
        let place = try? readLink("self/fd/\(directory.number)", in: open("/proc", O_RDONLY | O_DIRECTORY)),
        place != resolve(path, against: (try? currentDirectory()) ?? "")
    else { return nil }
    return place
}

private func enter(_ directory: ByteString, remedy: ByteString) throws(Failure) {
    try step("enter", directory, remedy: { _ in remedy }) { () throws(Errno) in
        try directory.withCString { path throws(Errno) in try checked(chdir(path)) }
    }
}

/// Adds what the live generation was deployed with, if no command is named; with `migrate` in any case, if there is
/// such a generation. Then enters its directory, and returns that deployment as well.
private func completed(_ request: DeployRequest) throws(Failure) -> ([Setting], [ByteString], Deployment?) {
    let (settings, command) = (request.settings, request.command)
    if let base = request.base {
        try enter(base.directory, remedy: "that release has gone: deploy it anew")
        return (base.settings(with: settings), base.command, base)
    }
    let isComplete = !command.isEmpty
    guard !isComplete || request.isMigration, !request.isGiven(.config),
        let app = settings.first(where: { $0.option.key == .app }), (try? parseLabel(app.value, "")) != nil
    else { return (settings, command, nil) }
    let directory = try runDirectory(of: settings)
    let deployment: Deployment
    do throws(Failure) {
        let registry = try Registry.open(app.value, in: directory, create: false)
        if let registry, let known = try? liveDeployment(registry) {
            deployment = known
        } else if let state = try? stateDirectory(of: settings), let kept = keptDeployment(app.value, in: state) {
            // A boot that has failed leaves a registry without a generation that was live.
            deployment = kept
        } else if let registry {
            deployment = try liveDeployment(registry, changedBy: settings)
        } else {
            throw .usage(
                "deploy", "app \(app.value)", "no command was given, and it is not registered in \(directory)",
                remedy: rootHas(app.value) ?? others(in: directory)
                    ?? "write reuseport-exec deploy \(app.value) [options] -- command; a boot forgets what is not enabled"
            )
        }
    } catch {
        if isComplete { return (settings, command, nil) }
        throw error
    }
    try enter(
        deployment.named ?? deployment.directory, remedy: "give the whole command to reuseport-exec deploy, elsewhere")
    return (deployment.settings(with: settings), isComplete ? command : deployment.command, deployment)
}

private func runDirectory(of settings: [Setting]) throws(Failure) -> ByteString {
    if let given = try directory(.runDirectory, of: settings) { return given }
    return try defaultRunDirectory()
}

private func stateDirectory(of settings: [Setting]) throws(Failure) -> ByteString {
    try ReusePortKit.stateDirectory(try directory(.stateDirectory, of: settings))
}

private func directory(_ key: Option.Key, of settings: [Setting]) throws(Failure) -> ByteString? {
    guard let setting = settings.first(where: { $0.option.key == key }) else { return nil }
    do throws(Malformed) {
        return try parseRunDirectory(setting.value)
    } catch {
        throw setting.failure(error)
    }
}

/// Finds how the live generation was deployed, or the last one that was, if none is live. `changes` are options for the
/// next deploy, to be named if there is none to be repeated.
func liveDeployment(_ registry: Registry, changedBy changes: [Setting] = []) throws(Failure) -> Deployment {
    try registry.refuseOthers()
    let app = AppState.reconciled(registry).app
    // One that is about to end counts too: a restart may have been killed before it started the next.
    let past = app.generations.reversed().filter { $0.state != .starting && $0.state != .failed }
    let candidates = app.live.map { [$0] } ?? past
    for generation in candidates {
        if let deployment = registry.loadDeployment(of: generation) { return deployment }
    }
    // A deploy that failed is not repeated as it was: the user corrects its words.
    let failed = app.generations.last.flatMap { registry.loadDeployment(of: $0) }
    let words = failed.map {
        joined($0.settings(with: changes).filter { $0.option.key != .app }.map { $0.shown }, by: " ")
    }
    let command = failed.map { quotedForShell($0.command) }
    throw Failure(
        .negative, "deploy", "app \(registry.app) again",
        !candidates.isEmpty
            ? "generation \(candidates[0].label) was not started by deploy"
            : failed == nil ? "it has not been deployed yet" : "no deploy of it has succeeded yet",
        remedy: "write reuseport-exec deploy \(registry.app) \(words ?? "[options]") -- \(command ?? "command")")
}

/// The text of the configuration file: that of the deployment that is repeated, or what the file says now.
private func configuration(of request: DeployRequest, _ settings: [Setting]) throws(Failure) -> ByteString? {
    if let base = request.base { return base.configuration }
    return try snapshot(settings)
}

/// Reads the configuration file, to be kept as it is now, with the directory to which its paths are relative.
private func snapshot(_ settings: [Setting]) throws(Failure) -> ByteString? {
    guard let config = settings.first(where: { $0.option.key == .config }) else { return nil }
    let path = resolve(config.value, against: try currentDirectory())
    let text = try readTrusted(path)
    return try parseConfiguration(text, path).base == nil ? "relative-to: \(directory(of: path))\n\(text)" : text
}

/// Makes the path of a configuration file absolute, so that it is found again from anywhere.
private func anchored(_ setting: Setting, in directory: ByteString) -> Setting {
    var setting = setting
    if setting.option.key == .config { setting.value = resolve(setting.value, against: directory) }
    return setting
}

extension VerbRequest {
    /// Asks for another deploy of what is live.
    func again(with settings: [Setting], _ directory: ByteString) -> DeployRequest {
        var all = settings + [Setting(.app, app ?? ""), Setting(.runDirectory, directory)]
        if verbosity == .quiet { all.append(Setting(.quiet)) }
        if verbosity == .everything { all.append(Setting(.debug)) }
        if isJSON { all.append(Setting(.json)) }
        return DeployRequest(settings: all, command: [])
    }
}
