/// `state`: prints everything that is known of apps, for people or as JSON.
func showState(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    func pictures() throws(Failure) -> [AppPicture] {
        try knownApps(request, directory).map { (name, state) in
            let registry = try? Registry.open(name, in: directory, create: false)
            return AppPicture(name, state, state.app.live.flatMap { registry?.loadDeployment(of: $0) })
        }
    }
    if request.isJSON { return try write("\(array(try pictures().map { $0.asJSON() }))\n") }
    try show(again: request.watches) { screen throws(Failure) in
        joined(try pictures().map { $0.text(on: screen, described: describe($0.deployment)) }, by: "\n")
    }
}

/// How the live generation was deployed, by what is asked for most. Empty if deploy did not start it, or if only its
/// owner may see that.
private func describe(_ deployment: Deployment?) -> [(ByteString, ByteString)] {
    guard let deployment, let options = try? deployment.options() else { return [] }
    var lines = [("command", quotedForShell(options.launch.command))] as [(ByteString, ByteString)]
    let directory = deployment.named ?? deployment.directory
    lines.append(("directory", options.launch.chdir.map { resolve($0, against: directory) } ?? directory))
    if let user = options.launch.user { lines.append(("user", user)) }
    if let log = options.deploy.log { lines.append(("log", log.description)) }
    if let target = options.deploy.supervision { lines.append(("on", target.description)) }
    if let app = options.app?.name, isEnabled(app, options) { lines.append(("boot", "deploys it")) }
    if let environment = deployment.environment {
        let names = differences(environment, recorded(callersEnvironment(), options.launch))
        if !names.isEmpty { lines.append(("environment", "differs from this shell's in \(joined(names, by: ", "))")) }
    }
    return lines
}
