/// Everything that a command line and its configuration file ask for, parsed but not looked up. The rows of the table of
/// options write into it. A class, because it is too large to be copied.
final class Options {
    /// The options of the launcher.
    var launch = LaunchOptions()
    /// The options of `--app` and `deploy`. Its name is empty without them.
    var request = AppRequest(name: "")
    /// The options of `deploy` alone.
    var deploy = DeployOptions()
    var isDryRun = false
    var isJSON = false
    var config: ByteString?
    /// The file of `--env-from`.
    var environmentFile: ByteString?
    /// For the verbs `wait` and `terminate`.
    var pid: Int32?
    var timeout: Milliseconds?
    var onlyRetired = false
    /// For the verb `next`.
    var labels: [ByteString] = []
    /// For the verb `logs`.
    var follows = false
    var lines: Int?
    /// The options that were given, those in a file first.
    private var given: [Option] = []
    /// Whether a configuration file is being read. Only there are values in niagra's form allowed.
    private var isFile = false
    /// The dialect of a file that was written for niagra, whose program expects its descriptors in that way.
    private var niagras: Dialect?

    /// The options of `--app` and `deploy`; nil without them.
    var app: AppRequest? {
        get { request.name.isEmpty ? nil : request }
        set { request = newValue ?? AppRequest(name: "") }
    }

    init() {}

    func isGiven(_ key: Option.Key) -> Bool { given.contains { $0.key == key } }

    /// Parses and stores one option.
    func take(_ setting: Setting) throws(Failure) {
        do throws(Malformed) {
            // Bytes of value zero cannot come from argv, but they can from a file, and end every C string.
            if let zero = setting.value.firstIndex(of: 0) { throw Malformed("there is a zero byte", at: zero) }
            try setting.option.parse(self, setting.value)
        } catch {
            throw setting.failure(error)
        }
        given.append(setting.option)
    }
}

extension Options {
    /// Sets a variable as `--env` does, in the place of one that a configuration file has set.
    func takeAnew(variable: ByteString) throws(Failure) {
        let name = variableName(variable)
        for index in launch.variables.indices where launch.variables[index].name == name {
            launch.variables.remove(at: index)
            break
        }
        try take(Setting(.environment, variable))
    }
}

// MARK: - Options of more than one form

extension Options {
    func addSocket(_ value: ByteString) throws(Malformed) {
        if isFile, let socket = try parseNiagraSocket(value) {
            launch.sockets.append(socket)
            niagras = socket.niagraType == nil ? niagras ?? .niagra : .niagra2
        } else {
            launch.sockets.append(try parseSocket(value))
        }
    }

    func addFile(_ value: ByteString) throws(Malformed) {
        if isFile, let file = try parseNiagraFile(value) {
            launch.files.append(file)
            niagras = niagras ?? .niagra
        } else {
            launch.files.append(try parseFile(value))
        }
    }

    func setCopies(_ value: ByteString) throws(Malformed) {
        deploy.countsProcessors = value == "auto"
        deploy.keepsCopies = value == "same"
        if deploy.countsProcessors || deploy.keepsCopies { return }
        do throws(Malformed) {
            request.copies = try parseNumber(value, 1...Bank.copies)
        } catch {
            throw Malformed(error.reason, remedy: "auto is one for each processor, same as many as before")
        }
    }
}

// MARK: - A command line with its file

extension Options {
    /// Parses a command line that runs a command, and the configuration file that it names, over which it wins.
    /// `configuration` replaces the file's contents by earlier ones.
    convenience init(
        _ line: [Setting], command: [ByteString], isDeploy: Bool = false, configuration: ByteString? = nil
    ) throws(Failure) {
        self.init()
        let file = Options()
        if let config = line.first(where: { $0.option.key == .config }) {
            try file.read(config.value, text: configuration, overriddenBy: line)
            // Without a name in it, as in niagra's files, the app is called like the file.
            if isDeploy, file.request.name.isEmpty { file.request.name = appName(fromFile: config.value) ?? "" }
        }
        (request, deploy, given) = (file.request, file.deploy, file.given)
        launch.command = command
        for setting in line { try take(setting) }
        launch.add(file.launch)
        try checkPlaces(line, isDeploy: isDeploy)
        if let dialect = launch.dialects?.nodesockd { follow(dialect) }
        if isDeploy { try checkDeploy() } else if app != nil { try checkApp() }
        if isJSON && !isDryRun && !isDeploy {
            throw .usage("parse", "--json", "it goes with --dry-run, and with deploy")
        }
        try launch.check()
        launch.copy = request.copy
    }

    /// Reads a configuration file, without the options that `line` replaces.
    private func read(
        _ path: ByteString, text: ByteString?, overriddenBy line: [Setting]
    ) throws(Failure) {
        let file = if let text { try parseConfiguration(text, path) } else { try readConfiguration(path) }
        isFile = true
        for setting in file.settings where !setting.isOverridden(by: line) { try take(setting) }
        launch.command = file.command
        if launch.dialects == nil { launch.dialects = niagras.map { [$0] } }
        let base = file.base ?? directory(of: path)
        launch.anchor(at: base)
        if case .file(let path)? = deploy.log { deploy.log = .file(resolve(path, against: base)) }
    }

    /// `web` for `/etc/web.conf`; nil if that cannot be an app's name.
    private func appName(fromFile path: ByteString) -> ByteString? {
        let file = lastComponent(of: path)
        let name = file.lastIndex(of: UInt8(ascii: ".")).map { file.prefix($0) } ?? file
        return try? parseLabel(name, "")
    }

    /// Sets the defaults of a dialect of nodesockd: programs say that they are ready, and are told to stop, through
    /// their channel.
    private func follow(_ dialect: Dialect) {
        if !isGiven(.ready) { request.readiness = .message }
        if !isGiven(.stopSignal) && !isGiven(.stopMessage) {
            request.stopMessages = dialect == .nodesockd ? "\"shutdown\"" : "{\"type\":\"shutdown\"}"
        }
    }
}

// MARK: - Checks

extension Options {
    /// Refuses options where they mean nothing.
    private func checkPlaces(_ line: [Setting], isDeploy: Bool) throws(Failure) {
        if isDeploy {
            guard app != nil else {
                throw .usage(
                    "find", "the app", "its name is missing",
                    remedy: "write reuseport-exec deploy APP [options] -- command, or migrate APP")
            }
            if request.watch.count > 0, deploy.supervision != nil {
                throw .usage("parse", "--watch", "the supervisor of --on would start the new copies again")
            }
            for option in given where !option.places.contains(.deploy) {
                throw .usage("parse", option.text, "deploy does this itself for each copy")
            }
            return
        }
        for setting in line {
            // In a configuration file, which may be for deploy as well, these options are allowed.
            let isForDeploy = setting.option.places.isDisjoint(with: [.alone, .app])
            if isForDeploy || setting.option.key == .copies && (deploy.countsProcessors || deploy.keepsCopies) {
                throw .usage("parse", setting.option.text, "it goes with deploy")
            }
        }
        if app != nil { return }
        for option in given where option.places.contains(.app) && !option.places.contains(.alone) {
            throw .usage("parse", option.text, "it goes with --app")
        }
    }

    private func checkApp() throws(Failure) {
        guard request.copy < request.copies else {
            throw .usage(
                "parse", "--copy \(request.copy)",
                "copies are counted from 0, so the last of \(request.copies) is \(request.copies - 1)")
        }
        if request.copies > 1 && request.generation == nil {
            throw .usage(
                "parse", "--copies \(request.copies)", "copies find each other by their generation's label",
                remedy: "add --generation LABEL")
        }
        try checkMemory()
    }

    private func checkDeploy() throws(Failure) {
        try checkMemory()
        guard let supervisor = deploy.supervision else {
            for (key, value) in [(Option.Key.permanent, deploy.permanent), (.onExit, deploy.onExit)] where value != nil
            {
                throw .usage("parse", Option.of(key).text, "it goes with --on")
            }
            return
        }
        switch deploy.log {
        case nil: break
        case _ where supervisor == .systemd:
            throw .usage("parse", "--log", "with --on systemd the journal has the output")
        case .file?: break
        case .syslog?, .inherited?:
            throw .usage("parse", "--log", "with --on it names a directory, in which each copy gets its own")
        }
    }

    private func checkMemory() throws(Failure) {
        try checkOrder("--memory-high", request.memoryHigh, "--memory-max", request.memoryMax)
        try checkOrder("--memory-high", request.memoryHigh, "--app-memory-max", request.appMemoryMax)
        try checkOrder("--memory-max", request.memoryMax, "--app-memory-max", request.appMemoryMax)
    }

    /// Refuses a limit that is never reached because of a lower one.
    private func checkOrder(
        _ name: ByteString, _ size: UInt64?, _ other: ByteString, _ limit: UInt64?
    ) throws(Failure) {
        guard let size, let limit, size > limit else { return }
        throw .usage("parse", "\(name) \(memorySize(size))", "it is more than \(other) \(memorySize(limit))")
    }
}

/// Reads from a configuration file, for verbs, which app it describes, and where that is registered.
func describedApp(_ path: ByteString) throws(Failure) -> AppRequest {
    let options = try Options([Setting(.config, path)], command: ["-"], isDeploy: true)
    guard let app = options.app else { throw .usage("find", "the app in \(path)", "it names none") }
    return app
}

extension Plan {
    /// Makes the plan of a command line, and refuses sockets that could not be handed over.
    init(_ options: Options) throws(Failure) {
        let launch = options.launch
        if let app = options.app {
            launch.copy = app.copy
            launch.isGated = true
            launch.needsChannel = !app.stopMessages.isEmpty
            if case .message = app.readiness { launch.needsChannel = true }
            launch.startsSuspended = app.isSuspended
        }
        try self.init(launch)
        if let app = options.app { try check(app, self) }
    }
}
