/// `export`: prints the configuration file that says how the live generation was deployed.
func export(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let registry = try openApp(request, directory)
    let deployment = try liveDeployment(registry)
    var settings = deployment.settings(with: [])
    var base = deployment.directory
    if let config = settings.first(where: { $0.option.key == .config }), let text = deployment.configuration {
        let file = try parseConfiguration(text, config.value)
        settings = file.settings.filter { !$0.isOverridden(by: settings) } + settings
        base = file.base ?? base
    }
    var page: ByteString = "relative-to: \(base)\n"
    // A file without this line names the app by its own name, and the exported file may get another.
    if !settings.contains(where: { $0.option.key == .app }) { try page.add("app", registry.app) }
    for one in settings where one.option.places.contains(.file) {
        try page.add(one.option.text.dropFirst(2), one.value)
    }
    try page.add("command", quotedForShell(try deployment.options().launch.command))
    try write(page)
}

extension ByteString {
    /// Adds a line of a configuration file.
    fileprivate mutating func add(_ key: ByteString, _ value: ByteString) throws(Failure) {
        if value.contains(UInt8(ascii: "\n")) || value.trimmed != value {
            throw Failure(
                .negative, "export", key, "its value has blanks at an end or a newline",
                remedy: "a configuration file cannot have that")
        }
        append(value.isEmpty ? "\(key):\n" : "\(key): \(value)\n")
    }
}
