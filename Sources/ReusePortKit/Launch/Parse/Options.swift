/// Everything that a command line and its configuration file ask for, understood but not looked up. A class, for they
/// are a hundred words, which nobody is to copy.
final class Options {
    var sockets: [SocketRequest] = []
    var files: [FileRequest] = []
    var keptDescriptors: [Int32] = []
    var user: ByteString?
    /// Nil: the user's own. Empty: none.
    var groups: [ByteString]?
    var noNewPrivileges = false
    var chroot: ByteString?
    var chdir: ByteString?
    var umask: UInt32?
    var clearsEnvironment = false
    var keptVariables: [ByteString] = []
    var variables: [Variable] = []
    /// Nil: the default.
    var dialects: [Dialect]?
    var isDryRun = false
    var isJSON = false
    var command: [ByteString] = []
    /// What goes with `--app`; nil without it.
    var app: AppRequest?
    private var appOptions = AppOptions()
    /// Which copy this is, with `--app` or without.
    var copy: Int { appOptions.request.copy }
    /// Set if the file was written for niagra, and so the program is to be told of its descriptors in niagra's way.
    private var niagras: Dialect?
    /// What is for `deploy` alone.
    private(set) var deploy = DeployOptions()
    /// The first option on the command line that is for `deploy` alone.
    private var needsDeploy: ByteString?

    /// `--env NAME=VALUE`, VALUE with its templates.
    struct Variable: Sendable, Equatable {
        var name: ByteString
        var value: ByteString
    }

    init() {}

    /// Understands what was written; the command line wins over the file that it names. `isDeploy`: for the verb.
    /// `configuration` is what the file said once, where that counts and not what it says now.
    init(
        _ commandLine: [Setting], command: [ByteString], isDeploy: Bool = false, configuration: ByteString? = nil
    ) throws(Failure) {
        let written = Options()
        if let config = commandLine.first(where: { $0.option.key == .config }) {
            let file =
                if let configuration {
                    try parseConfiguration(configuration, config.value)
                } else {
                    try readConfiguration(config.value)
                }
            written.command = file.command
            for setting in file.settings where !isOverridden(setting, by: commandLine) { try written.take(setting) }
            written.anchor(at: file.base ?? directory(of: config.value))
            // Without a name in it, the app is called like the file: niagra's files have none.
            if isDeploy, written.appOptions.name == nil { written.appOptions.name = appName(fromFile: config.value) }
        }
        appOptions = written.appOptions
        deploy = written.deploy
        for setting in commandLine { try take(setting) }
        add(written)
        self.command = command.isEmpty ? written.command : command
        if let needsDeploy, !isDeploy { throw .usage("parse", needsDeploy, "it goes with deploy") }
        if dialects?.contains(.nodesockd) == true { appOptions.followNodesockd() }
        app = try isDeploy ? appOptions.checkedForDeploy() : appOptions.checked()
        if app == nil, appOptions.isNumbered,
            !sockets.contains(where: { $0.address.address.path?.contains(UInt8(ascii: "{")) == true })
        {
            throw .usage("parse", "--copy", "it goes with --app, or with {copy} in the path of a unix socket")
        }
        if isDeploy { try deploy.check() }
        try checkTogether()
    }

    private func isOverridden(_ setting: Setting, by commandLine: [Setting]) -> Bool {
        let key = setting.option.key
        // --groups and --no-groups are two ways to say one thing.
        if key == .groups || key == .noGroups {
            return commandLine.contains { $0.option.key == .groups || $0.option.key == .noGroups }
        }
        return !setting.option.isRepeatable && commandLine.contains { $0.option.key == key }
    }

    /// Adds what the file says; of two things with one name the command line's stays.
    private func add(_ file: Options) {
        sockets = file.sockets.filter { socket in !sockets.contains { $0.name == socket.name } } + sockets
        files = file.files.filter { one in !files.contains { $0.name == one.name } } + files
        keptDescriptors = file.keptDescriptors.filter { !keptDescriptors.contains($0) } + keptDescriptors
        keptVariables = file.keptVariables.filter { !keptVariables.contains($0) } + keptVariables
        variables = file.variables.filter { one in !variables.contains { $0.name == one.name } } + variables
        user = user ?? file.user
        groups = groups ?? file.groups
        noNewPrivileges = noNewPrivileges || file.noNewPrivileges
        chroot = chroot ?? file.chroot
        chdir = chdir ?? file.chdir
        umask = umask ?? file.umask
        clearsEnvironment = clearsEnvironment || file.clearsEnvironment
        dialects = dialects ?? file.dialects ?? file.niagras.map { [$0] }
    }

    /// `web` for `/etc/web.conf`; nil if that cannot be an app's name.
    private func appName(fromFile path: ByteString) -> ByteString? {
        let file = lastComponent(of: path)
        let name = file.lastIndex(of: UInt8(ascii: ".")).map { file.prefix($0) } ?? file
        return try? parseLabel(name, "")
    }

    /// Makes relative paths relative to the configuration file.
    private func anchor(at directory: ByteString) {
        for index in sockets.indices {
            if let path = sockets[index].address.address.path {
                sockets[index].address.address = .unix(resolve(path, against: directory))
            }
        }
        for index in files.indices { files[index].path = resolve(files[index].path, against: directory) }
        if case .file(let path)? = deploy.log { deploy.log = .file(resolve(path, against: directory)) }
        chroot = chroot.map { resolve($0, against: directory) }
        // Inside a new root, the directory is the root's.
        if chroot == nil { chdir = chdir.map { resolve($0, against: directory) } }
        // A bare name is looked up in PATH.
        if let program = command.first, program.contains(UInt8(ascii: "/")), chroot == nil {
            command[0] = resolve(program, against: directory)
        }
    }

    /// Understands one option.
    private func take(_ setting: Setting) throws(Failure) {
        do throws(Malformed) {
            if case .file = setting.origin, try applyNiagra(setting.option.key, setting.value) { return }
            if try deploy.apply(setting.option, setting.value) {
                if case .commandLine = setting.origin {
                    needsDeploy = needsDeploy ?? ByteString(stringLiteral: setting.option.name)
                }
                return
            }
            if try appOptions.apply(setting.option, setting.value) { return }
            try apply(setting.option.key, setting.value)
        } catch {
            throw setting.failure(error)
        }
    }

    /// Takes niagra's form of a line, if it is one.
    private func applyNiagra(_ key: Option.Key, _ value: ByteString) throws(Malformed) -> Bool {
        if key == .socket, let socket = try parseNiagraSocket(value) {
            sockets.append(socket)
            niagras = socket.niagraType == nil ? niagras ?? .niagra : .niagra2
            return true
        }
        if key == .file, let file = try parseNiagraFile(value) {
            files.append(file)
            niagras = niagras ?? .niagra
            return true
        }
        return false
    }

    private func apply(_ key: Option.Key, _ value: ByteString) throws(Malformed) {
        // Bytes of value zero cannot come from argv, but they can from a file, and end every C string.
        if let zero = value.firstIndex(of: 0) { throw Malformed("there is a zero byte", at: zero) }
        switch key {
        case .socket: sockets.append(try parseSocket(value))
        case .file: files.append(try parseFile(value))
        case .keepDescriptor:
            let number = try parseDescriptor(value)
            if number < 3 { throw Malformed("0, 1 and 2 are always kept") }
            if keptDescriptors.contains(number) { throw Malformed("descriptor \(number) is named twice") }
            keptDescriptors.append(number)
        case .user: user = try required(value, "user")
        case .groups:
            if groups != nil { throw Malformed("--groups and --no-groups exclude each other") }
            groups = value.split(on: UInt8(ascii: ","))
            if groups!.contains(where: { $0.isEmpty }) {
                throw Malformed("a group's name is empty", remedy: "for none at all use --no-groups")
            }
        case .noGroups:
            if groups != nil { throw Malformed("--groups and --no-groups exclude each other") }
            groups = []
        case .noNewPrivileges: noNewPrivileges = true
        case .chroot: chroot = try required(value, "directory")
        case .chdir: chdir = try required(value, "directory")
        case .umask: umask = try parseMode(value)
        case .clearEnvironment: clearsEnvironment = true
        case .keep:
            let name = try required(value, "variable's name")
            if let sign = name.firstIndex(of: UInt8(ascii: "=")) { throw Malformed("a name has no =", at: sign) }
            keptVariables.append(name)
        case .environment:
            guard let (name, text) = value.cut(at: UInt8(ascii: "=")), !name.isEmpty else {
                throw Malformed("this is not NAME=VALUE")
            }
            if variables.contains(where: { $0.name == name }) { throw Malformed("variable \(name) is set twice") }
            variables.append(Variable(name: name, value: text))
        case .pass: dialects = try parseDialects(value)
        case .dryRun: isDryRun = true
        case .json: isJSON = true
        case .config: _ = try required(value, "file's name")
        default: break
        }
    }

    private func required(_ value: ByteString, _ what: ByteString) throws(Malformed) -> ByteString {
        if value.isEmpty { throw Malformed("the \(what) is empty") }
        return value
    }

    /// What no single option can be wrong about.
    private func checkTogether() throws(Failure) {
        let names = (sockets.map { $0.name } + files.map { $0.name }).ordered { $0.precedes($1) }
        for (one, next) in zip(names, names.dropFirst()) where one == next {
            throw .usage(
                "parse", "name \(one)", "it is given twice", remedy: "every socket and file needs its own name")
        }
        if isJSON && !isDryRun { throw .usage("parse", "--json", "it goes with --dry-run") }
        if !keptVariables.isEmpty && !clearsEnvironment {
            throw .usage("parse", "--keep \(keptVariables[0])", "it goes with --clear-env")
        }
        if command.isEmpty || command[0].isEmpty {
            throw .usage(
                "run", "", command.isEmpty ? "no command was given" : "the command's name is empty",
                remedy: "usage: reuseport-exec [options] [--] command [arg...]")
        }
    }
}
