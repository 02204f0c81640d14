import CLinux

/// A socket to be bound.
struct SocketPlan: Sendable, Equatable {
    var name: ByteString
    var transport: Transport
    var address: SocketAddress
    var isDualStack: Bool
    /// The system's `somaxconn` if nil.
    var backlog: Int32?
    var mode: UInt32?
    var owner: UInt32?
    var group: UInt32?
    /// The number that the target will see.
    var descriptor: Int32
    var isFreebind: Bool
    var device: ByteString?
    var isNodelay: Bool
    var isListening: Bool

    /// As it is written: `*:80`, `udp:0.0.0.0:53`, `unix:/run/web.sock`.
    var written: ByteString { written(at: address) }

    /// The same with the port that the kernel has chosen.
    func written(at address: SocketAddress) -> ByteString {
        RequestedAddress(transport: transport, address: address, isDualStack: isDualStack).description
    }

    /// As messages name it.
    var object: ByteString { "socket \(name) to \(written)" }
}

/// A file to be opened.
struct FilePlan: Sendable, Equatable {
    var name: ByteString
    var path: ByteString
    var request: FileRequest
    /// The number that the target will see.
    var descriptor: Int32
}

/// Everything that will be done, decided before anything is done.
struct Plan: Sendable {
    var sockets: [SocketPlan]
    var files: [FilePlan]
    var keptDescriptors: [Int32]
    var identity: Identity
    var noNewPrivileges: Bool
    var chroot: ByteString?
    var chdir: ByteString?
    var umask: UInt32?
    var clearsEnvironment: Bool
    var keptVariables: [ByteString]
    var variables: [(name: ByteString, value: Template)]
    var dialects: [Dialect]
    /// The two ends of the Node channel, if a dialect has one.
    var channel: (near: Int32, far: Int32)?
    var command: [Template]
    /// The preload library of dialect `adopt`; nil without it.
    var library: ByteString?
    /// What goes with `--app`; nil without it.
    var app: AppRequest?

    /// Looks up every name in the options and decides every number. Nothing is opened, bound or changed.
    init(_ options: Options) throws(Failure) {
        let numbers = try assignDescriptors(options)
        sockets = try resolveSockets(options.sockets, numbers: numbers)
        files = try resolveFiles(options.files, numbers: numbers)
        keptDescriptors = options.keptDescriptors
        identity = try resolveIdentity(options)
        noNewPrivileges = options.noNewPrivileges
        chroot = options.chroot
        chdir = options.chdir
        umask = options.umask
        clearsEnvironment = options.clearsEnvironment
        keptVariables = options.keptVariables
        dialects = options.dialects ?? (options.sockets.isEmpty && options.files.isEmpty ? [] : [.systemd])
        channel = numbers.channel
        app = options.app
        variables = []
        command = []
        for variable in options.variables {
            let value = try parseTemplate(
                variable.value, in: "--env \(variable.name)", sockets: sockets, files: files)
            variables.append((variable.name, value))
        }
        for (index, argument) in options.command.enumerated() {
            command.append(
                try parseTemplate(argument, in: "argument \(index) of the command", sockets: sockets, files: files))
        }
        try checkDialects(self)
        if let app { try check(app, self) }
        if dialects.contains(.adopt) {
            library = try findPreloadLibrary(self)
            try checkAdoption(self)
        }
    }
}

/// Completes paths, and looks up interfaces, owners and groups.
private func resolveSockets(
    _ requests: [SocketRequest], numbers: DescriptorNumbers
) throws(Failure) -> [SocketPlan] {
    var plans: [SocketPlan] = []
    for (request, descriptor) in zip(requests, numbers.sockets) {
        plans.append(
            SocketPlan(
                name: request.name, transport: request.address.transport,
                address: try resolveAddress(request), isDualStack: request.address.isDualStack,
                backlog: request.backlog, mode: request.mode,
                owner: try request.owner.map(userID), group: try request.group.map(resolveGroup),
                descriptor: descriptor, isFreebind: request.isFreebind, device: request.device,
                isNodelay: request.isNodelay, isListening: request.isListening))
    }
    return plans
}

/// The id of a socket's owner: a number needs no entry in the user database.
private func userID(_ name: ByteString) throws(Failure) -> UInt32 {
    if let account = try resolveAccount(name) { return account.user }
    return UInt32(truncatingIfNeeded: name.decimal ?? 0)
}

private func resolveAddress(_ request: SocketRequest) throws(Failure) -> SocketAddress {
    switch request.address.address {
    case .ipv6(let high, let low, let port, _):
        guard let zone = request.address.zone else { return request.address.address }
        let index = zone.decimal.map { UInt32(truncatingIfNeeded: $0) } ?? zone.withCString { if_nametoindex($0) }
        guard index != 0 else {
            throw .usage("find", "interface \(zone) of socket \(request.name)", "there is no such interface")
        }
        return .ipv6(high: high, low: low, port: port, scope: index)
    case .unix(let path):
        let path = try absolute(path)
        guard path.count <= SocketAddress.longestPath else {
            throw .usage(
                "bind", "socket \(request.name) to unix:\(path)",
                "the path has \(path.count) bytes, and a unix socket's may have \(SocketAddress.longestPath)")
        }
        return .unix(path)
    case .ipv4:
        return request.address.address
    }
}

private func resolveFiles(_ requests: [FileRequest], numbers: DescriptorNumbers) throws(Failure) -> [FilePlan] {
    var plans: [FilePlan] = []
    for (request, descriptor) in zip(requests, numbers.files) {
        plans.append(
            FilePlan(
                name: request.name, path: try absolute(request.path), request: request, descriptor: descriptor))
    }
    return plans
}

/// The path from the root: the target may be in another directory by the time it reads it.
private func absolute(_ path: ByteString) throws(Failure) -> ByteString {
    if path.hasPrefix("/") { return path }
    let here = try step("find", "the working directory") { () throws(Errno) in try workingDirectory() }
    return resolve(path, against: here)
}
