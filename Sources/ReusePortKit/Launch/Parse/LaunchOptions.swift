/// The launcher's options, parsed; names in them have not been looked up.
final class LaunchOptions {
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
    var command: [ByteString] = []

    /// Which of several copies this is, counted from 0.
    var copy = 0
    /// Whether the sockets are only bound, under names that clients do not know, so that the coordinator decides
    /// when they listen.
    var isGated = false
    /// Whether the target gets a Node channel even if no dialect needs one.
    var needsChannel = false
    /// Whether the target is told to wait before it begins to work.
    var startsSuspended = false

    init() {}

    /// `--env NAME=VALUE`; VALUE may have templates.
    struct Variable: Sendable, Equatable {
        var name: ByteString
        var value: ByteString
    }
}

// MARK: - One option each

extension LaunchOptions {
    func addKeptDescriptor(_ text: ByteString) throws(Malformed) {
        let number = try parseDescriptor(text)
        if number < 3 { throw Malformed("0, 1 and 2 are always kept") }
        if keptDescriptors.contains(number) { throw Malformed("descriptor \(number) is named twice") }
        keptDescriptors.append(number)
    }

    /// Nil: no supplementary groups at all.
    func setGroups(_ text: ByteString?) throws(Malformed) {
        if groups != nil { throw Malformed("--groups and --no-groups exclude each other") }
        let names = text?.split(on: UInt8(ascii: ",")) ?? []
        if names.contains(where: { $0.isEmpty }) {
            throw Malformed("a group's name is empty", remedy: "for none at all use --no-groups")
        }
        groups = names
    }

    func addKeptVariable(_ name: ByteString) throws(Malformed) {
        let name = try parseText(name, "variable's name")
        if let sign = name.firstIndex(of: UInt8(ascii: "=")) { throw Malformed("a name has no =", at: sign) }
        keptVariables.append(name)
    }

    func addVariable(_ text: ByteString) throws(Malformed) {
        guard let (name, value) = text.cut(at: UInt8(ascii: "=")), !name.isEmpty else {
            throw Malformed("this is not NAME=VALUE")
        }
        if variables.contains(where: { $0.name == name }) { throw Malformed("variable \(name) is set twice") }
        variables.append(Variable(name: name, value: value))
    }
}

// MARK: - All together

extension LaunchOptions {
    /// Adds the options of a configuration file; those that are set already take precedence. A socket or file that
    /// replaces one keeps its place, by which its descriptor is numbered.
    func add(_ file: LaunchOptions) {
        sockets = replacing(file.sockets, by: sockets) { $0.name }
        files = replacing(file.files, by: files) { $0.name }
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
        dialects = dialects ?? file.dialects
        if command.isEmpty { command = file.command }
    }

    private func replacing<One>(_ old: [One], by new: [One], name: (One) -> ByteString) -> [One] {
        var new = new
        let replaced = old.map { one in
            new.firstIndex { name($0) == name(one) }.map { new.remove(at: $0) } ?? one
        }
        return replaced + new
    }

    /// Makes relative paths relative to the directory of the configuration file in which they stand.
    func anchor(at directory: ByteString) {
        for index in sockets.indices {
            if let path = sockets[index].address.address.path {
                sockets[index].address.address = .unix(resolve(path, against: directory))
            }
        }
        for index in files.indices { files[index].path = resolve(files[index].path, against: directory) }
        chroot = chroot.map { resolve($0, against: directory) }
        // With a new root, the path starts there.
        if chroot == nil { chdir = chdir.map { resolve($0, against: directory) } }
        // A bare name is looked up in PATH.
        if let program = command.first, program.contains(UInt8(ascii: "/")), chroot == nil {
            command[0] = resolve(program, against: directory)
        }
    }

    /// Refuses options that exclude or need each other.
    func check() throws(Failure) {
        let names = (sockets.map { $0.name } + files.map { $0.name }).ordered { $0.precedes($1) }
        for (one, next) in zip(names, names.dropFirst()) where one == next {
            throw .usage(
                "parse", "name \(one)", "it is given twice", remedy: "every socket and file needs its own name")
        }
        if !keptVariables.isEmpty && !clearsEnvironment {
            throw .usage("parse", "--keep-env \(keptVariables[0])", "it goes with --clear-env")
        }
        if command.isEmpty || command[0].isEmpty {
            throw .usage(
                "run", "", command.isEmpty ? "no command was given" : "the command's name is empty",
                remedy: "usage: reuseport-exec [options] -- command [arg...]")
        }
    }
}
