import CLinux

/// What a dialect tells the target: variables, and arguments behind its own.
struct Announcement {
    var variables: [(name: ByteString, value: ByteString)] = []
    var arguments: [ByteString] = []
    /// Variables of the caller's that are not for the target.
    var removed: [ByteString] = []

    /// Whom the target tells that it is ready: our helper, or nobody; never the supervisor, which the helper tells.
    mutating func setReadiness(_ socket: ByteString?) {
        if let socket { set("NOTIFY_SOCKET", socket) } else { removed.append("NOTIFY_SOCKET") }
    }
}

/// Puts the plan's descriptors into the words of its dialects, given where the sockets have been bound.
func announce(_ plan: Plan, _ addresses: [SocketAddress]) -> Announcement {
    var announcement = Announcement()
    for dialect in plan.dialects { announcement.add(dialect, plan, addresses) }
    return announcement
}

extension Announcement {
    private mutating func set(_ name: ByteString, _ value: ByteString) { variables.append((name, value)) }

    fileprivate mutating func add(_ dialect: Dialect, _ plan: Plan, _ addresses: [SocketAddress]) {
        let sockets = plan.sockets
        switch dialect {
        case .systemd:
            set("LISTEN_PID", ByteString(decimal: getpid()))
            set("LISTEN_FDS", ByteString(decimal: sockets.count + plan.files.count))
            set("LISTEN_FDNAMES", joined(sockets.map { $0.name } + plan.files.map { $0.name }, by: ":"))
        case .niagra, .niagra2:
            let kind: ByteString = dialect == .niagra2 ? "insecure," : ""
            for socket in sockets { arguments += ["--fd", "\(socket.name),\(kind)\(socket.descriptor)"] }
            for file in plan.files { arguments += ["--file", "\(file.name),\(file.descriptor)"] }
        case .lactoserv:
            let members =
                sockets.map { "\(json($0.name)):\(json("/dev/fd/\($0.descriptor)"))" as ByteString }
                + plan.files.map { "\(json($0.name)):\(json("/dev/fd/\($0.descriptor)"))" as ByteString }
            set("LACTOSERV_FDS", "{\(joined(members, by: ","))}")
        case .nodesockd:
            if let socket = sockets.first(where: { $0.transport == .unix }) { set("LISTEN_ON", socket.address.host) }
            set("NODESOCKD_WORKER_ID", ByteString(decimal: plan.app?.copy ?? 0))
            set("NODESOCKD_SUSPENDED", "0")
            if let channel = plan.channel { set("NODE_CHANNEL_FD", ByteString(decimal: channel.near)) }
        case .nginx:
            var list = ByteString()
            for socket in sockets { list.append("\(socket.descriptor);") }
            set("NGINX", list)
        case .serverStarter:
            set("SERVER_STARTER_PORT", joined(pairs(sockets, addresses), by: ";"))
            set("SERVER_STARTER_GENERATION", "1")
        case .einhorn:
            set("EINHORN_FD_COUNT", ByteString(decimal: sockets.count))
            for (index, socket) in sockets.enumerated() {
                set("EINHORN_FD_\(index)", ByteString(decimal: socket.descriptor))
            }
        case .unicorn:
            set("UNICORN_FD", joined(sockets.map { ByteString(decimal: $0.descriptor) }, by: ","))
        case .phpFPM:
            set("FPM_SOCKETS", joined(pairs(sockets, addresses), by: ","))
        case .inetd, .adopt:
            break
        }
    }

    /// Tells the preload library what it may take for the program's own: descriptor, cookie, backlog, and the path, which
    /// with `--app` the kernel does not know yet.
    mutating func addAdoptable(_ plan: Plan, _ listeners: [CopyRecord.Listener]) {
        var list = ByteString()
        for (index, socket) in plan.sockets.enumerated() {
            let path = socket.address.path ?? ""
            list.append("\(socket.descriptor):\(listeners[index].identity.cookie):\(socket.backlog ?? Int32.max):")
            list.append("\(path.count):\(path);")
        }
        set("REUSEPORT_EXEC_ADOPT", list)
    }

    /// `ADDRESS=DESCRIPTOR` of each socket.
    private func pairs(_ sockets: [SocketPlan], _ addresses: [SocketAddress]) -> [ByteString] {
        zip(sockets, addresses).map { "\($1.description)=\($0.descriptor)" }
    }
}
