/// `state`: prints everything that is known of apps, for people or as JSON.
func showState(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    func pictures() throws(Failure) -> [AppPicture] {
        try knownApps(request, directory).map { (name, state) in
            let registry = try? Registry.open(name, in: directory, create: false)
            let shown = state.app.live ?? state.app.generations.last { $0.hasServed }
            return AppPicture(name, state, shown.flatMap { registry?.loadDeployment(of: $0) })
        }
    }
    if request.isJSON { return try write("\(array(of: try pictures().map { $0.asJSON() }))\n") }
    try show(again: request.watches) { screen throws(Failure) in
        joined(try pictures().map { $0.text(on: screen, described: describe($0.deployment)) }, by: "\n")
    }
}

/// How the live generation was deployed, or the last that has served, by what is asked for most. Empty if deploy did not start it, or if only its
/// owner may see that.
private func describe(_ deployment: Deployment?) -> [(ByteString, ByteString)] {
    guard let deployment, let options = try? deployment.options() else { return [] }
    var lines = [("command", quotedForShell(options.launch.command))] as [(ByteString, ByteString)]
    var directory = deployment.place
    if let name = deployment.placeName { directory.append(" (migrate: \(name))") }
    lines.append(("directory", directory))
    if let user = options.launch.user { lines.append(("user", user)) }
    if let target = options.deploy.supervision {
        lines.append(("on", target.description))
        if let log = options.deploy.log { lines.append(("log", log.description)) }
    } else if let log = options.deploy.log?.description ?? options.app.flatMap({ try? usualLog(of: $0.name) }) {
        lines.append(("log", log))
    }
    if let app = options.app?.name, isEnabled(app, options) { lines.append(("boot", "deploys it")) }
    let others = deployment.settings(with: []).filter { !$0.option.isShownByState }.map { $0.shown }
    if !others.isEmpty { lines.append(("options", joined(others, by: " "))) }
    if let environment = deployment.environment {
        let names = differences(environment, recorded(callersEnvironment(), options.launch))
        if !names.isEmpty { lines.append(("environment", "differs from this shell's in \(joined(names, by: ", "))")) }
    }
    return lines
}

extension Option {
    /// Whether another line of `state` has its value, or it concerns only the output of deploy.
    fileprivate var isShownByState: Bool {
        switch key {
        case .socket, .user, .chdir, .app, .generation, .copies, .log, .supervision, .runDirectory, .stateDirectory,
            .atBoot,
            .quiet, .debug, .json:
            true
        default: false
        }
    }
}
