import CLinux

/// A socket to be bound.
struct SocketPlan: Sendable, Equatable {
    var name: ByteString
    var transport: Transport
    var address: SocketAddress
    /// The path of a Unix socket as the user wrote it, maybe with `{copy}`.
    var pattern: ByteString?
    var isDualStack: Bool
    /// The system's `somaxconn` if nil.
    var backlog: Int32?
    var mode: UInt32?
    var owner: UInt32?
    var group: UInt32?
    /// The number in the target.
    var descriptor: Int32
    var isFreebind: Bool
    var device: ByteString?
    var isNodelay: Bool
    var isListening: Bool
    /// Its type in dialect `niagra2`.
    var niagraType: ByteString?

    /// The address as a user writes it: `*:80`, `udp:0.0.0.0:53`, `unix:/run/web.sock`.
    var written: ByteString { written(at: address) }

    /// Another address as a user writes it, with the port that the kernel has chosen.
    func written(at address: SocketAddress) -> ByteString {
        RequestedAddress(transport: transport, address: address, isDualStack: isDualStack).description
    }

    /// Its name in messages.
    var object: ByteString { "socket \(name) to \(written)" }
}

/// A file to be opened.
struct FilePlan: Sendable, Equatable {
    var name: ByteString
    var path: ByteString
    var request: FileRequest
    /// The number in the target.
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
    /// The numbers of the Node channel's ends, if there is one.
    var channel: (near: Int32, far: Int32)?
    var command: [Template]
    /// Whether the target asks for its sockets, as a cluster's worker does, and does not inherit them.
    var sendsSockets: Bool { dialects.contains(.cluster) }
    /// The preload library of dialect `adopt`, and of `nodesockd`; nil without them.
    var library: ByteString?
    /// Which copy this is, counted from 0.
    private(set) var copy: Int
    /// Whether the sockets are only bound, under names that clients do not know, so that the coordinator decides
    /// when they listen.
    let isGated: Bool
    /// Whether the target is told to wait before it begins to work.
    private(set) var startsSuspended: Bool

    /// Looks up every name in the options and decides every number. Nothing is opened, bound or changed.
    init(_ options: LaunchOptions) throws(Failure) {
        let numbers = try assignDescriptors(options)
        copy = options.copy
        isGated = options.isGated
        startsSuspended = options.startsSuspended
        sockets = try resolveSockets(options.sockets, numbers: numbers, copy: copy)
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
        variables = []
        command = []
        for variable in options.variables {
            let value = try parseTemplate(
                variable.value, in: "--env \(variable.name)", sockets: sockets, files: files, pathsAreKnown: !isGated)
            variables.append((variable.name, value))
        }
        for (index, argument) in options.command.enumerated() {
            command.append(
                try parseTemplate(
                    argument, in: "argument \(index) of the command", sockets: sockets, files: files,
                    pathsAreKnown: !isGated))
        }
        try checkDialects(self)
        if dialects.contains(.adopt) {
            library = try findPreloadLibrary(self)
            try checkAdoption(self)
        } else if dialects.nodesockd != nil, !sendsSockets, (try? checkAdoption(self)) != nil {
            // Its programs bind the path by themselves. Those that cannot load the library use the descriptor.
            library = try findPreloadLibrary(self)
        }
    }

    /// Makes this the plan of one of several copies.
    mutating func choose(copy number: Int, startsSuspended suspended: Bool) {
        (copy, startsSuspended) = (number, suspended)
        for index in sockets.indices { sockets[index].fill(copy: copy) }
    }
}

extension SocketPlan {
    mutating func fill(copy: Int) { address = address(of: copy) }

    /// The address of a copy's socket.
    @inline(never)
    func address(of copy: Int) -> SocketAddress {
        guard let pattern, let path = try? ReusePortKit.fill(pattern, copy: copy) else { return address }
        return .unix(path)
    }
}

/// Completes paths, and looks up interfaces, owners and groups.
private func resolveSockets(
    _ requests: [SocketRequest], numbers: DescriptorNumbers, copy: Int
) throws(Failure) -> [SocketPlan] {
    var plans: [SocketPlan] = []
    for (request, descriptor) in zip(requests, numbers.sockets) {
        let address = try resolveAddress(request)
        plans.append(
            SocketPlan(
                name: request.name, transport: request.address.transport,
                address: address, pattern: address.path, isDualStack: request.address.isDualStack,
                backlog: request.backlog, mode: request.mode,
                owner: try request.owner.map(userID), group: try request.group.map(resolveGroup),
                descriptor: descriptor, isFreebind: request.isFreebind, device: request.device,
                isNodelay: request.isNodelay, isListening: request.isListening, niagraType: request.niagraType))
        plans[plans.count - 1].fill(copy: copy)
        try checkLength(plans[plans.count - 1].address, request.name)
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
        return .unix(try absolute(path))
    case .ipv4:
        return request.address.address
    }
}

/// Refuses paths that do not fit into `sockaddr_un`; `spare` bytes are for the copies' own names beside it.
func checkLength(_ address: SocketAddress, _ name: ByteString, spare: Int = 0) throws(Failure) {
    guard let path = address.path, path.count > SocketAddress.longestPath - spare else { return }
    throw .usage(
        "bind", "socket \(name) to unix:\(path)",
        "the path has \(path.count) bytes, and a unix socket's may have \(SocketAddress.longestPath - spare)",
        remedy: spare > 0 ? "choose a shorter path: each copy needs a longer name beside it" : nil)
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
