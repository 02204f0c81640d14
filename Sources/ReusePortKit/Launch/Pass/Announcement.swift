import CLinux

/// The variables and arguments by which dialects tell the target what it inherits.
struct Announcement {
    var variables: [(name: ByteString, value: ByteString)] = []
    /// Added behind the command's own.
    var arguments: [ByteString] = []
    /// Variables of the caller that the target does not get.
    var removed: [ByteString] = []

    /// Tells the target where it reports that it is ready, and nothing of the caller's own socket: only the coordinator
    /// reports to the supervisor.
    mutating func setReadiness(_ socket: ReadinessSocket?) {
        if case .notify(let name)? = socket { return set("NOTIFY_SOCKET", name) }
        removed.append("NOTIFY_SOCKET")
        guard case .acknowledgement(let descriptor)? = socket else { return }
        // einhorn's library takes a process for a worker if this is its parent.
        set("EINHORN_MASTER_PID", ByteString(decimal: getppid()))
        set("EINHORN_SOCK_PATH", "/proc/self/fd/\(descriptor)")
    }
}

/// A socket at which the target reports that it is ready.
enum ReadinessSocket {
    /// With sd_notify(3), under this abstract name.
    case notify(ByteString)
    /// As einhorn's workers do. The descriptor is the socket's file, which nobody else can reach.
    case acknowledgement(Int32)
}

/// Announces the plan's descriptors in its dialects, given the addresses to which the sockets have been bound.
///
/// `start` counts the starts of copies, and `waits` tells the target to wait before it begins to work.
@inline(never)
func announce(
    _ plan: Plan, _ addresses: [SocketAddress], start: UInt64 = 1, waits: Bool = false
) -> Announcement {
    var announcement = Announcement()
    for dialect in plan.dialects { announcement.add(dialect, plan, addresses, start, waits || plan.startsSuspended) }
    if let channel = plan.channel {
        announcement.set("NODE_CHANNEL_FD", ByteString(decimal: channel.near))
        announcement.set("NODE_CHANNEL_SERIALIZATION_MODE", "json")
    }
    // Makes the program a cluster's worker, which asks for its listeners.
    if plan.sendsSockets { announcement.set("NODE_UNIQUE_ID", ByteString(decimal: plan.copy + 1)) }
    return announcement
}

extension Announcement {
    fileprivate mutating func set(_ name: ByteString, _ value: ByteString) { variables.append((name, value)) }

    fileprivate mutating func add(
        _ dialect: Dialect, _ plan: Plan, _ addresses: [SocketAddress], _ start: UInt64, _ waits: Bool
    ) {
        let sockets = plan.sockets
        switch dialect {
        case .systemd:
            set("LISTEN_PID", ByteString(decimal: getpid()))
            set("LISTEN_FDS", ByteString(decimal: sockets.count + plan.files.count))
            set("LISTEN_FDNAMES", joined(sockets.map { $0.name } + plan.files.map { $0.name }, by: ":"))
        case .niagra, .niagra2:
            for socket in sockets {
                let type: ByteString = dialect == .niagra2 ? "\(socket.niagraType ?? "insecure")," : ""
                arguments += ["--fd", "\(socket.name),\(type)\(socket.descriptor)"]
            }
            for file in plan.files { arguments += ["--file", "\(file.name),\(file.descriptor)"] }
        case .lactoserv:
            var members = JSONObject()
            for socket in sockets { members.add(key: socket.name, value: "\"/dev/fd/\(socket.descriptor)\"") }
            for file in plan.files { members.add(key: file.name, value: "\"/dev/fd/\(file.descriptor)\"") }
            set("LACTOSERV_FDS", members.text)
        case .nodesockd, .nodesockd2:
            // With an app it is the copy's own name: a program that removes it at its end does no harm.
            if let path = addresses.first(where: { $0.path != nil }) {
                set(dialect == .nodesockd ? "LISTEN_ON" : "NODESOCKD_SOCKET_PATH", path.host)
            }
            set("NODESOCKD_WORKER_ID", ByteString(decimal: plan.copy))
            set("NODESOCKD_SUSPENDED", waits ? "true" : "")
        case .nginx:
            var list = ByteString()
            for socket in sockets { list.append("\(socket.descriptor);") }
            set("NGINX", list)
        case .serverStarter:
            set("SERVER_STARTER_PORT", joined(pairs(sockets, addresses), by: ";"))
            set("SERVER_STARTER_GENERATION", ByteString(decimal: start))
        case .einhorn:
            set("EINHORN_CHILD_INDEX", ByteString(decimal: plan.copy))
            set("EINHORN_FD_COUNT", ByteString(decimal: sockets.count))
            for (index, socket) in sockets.enumerated() {
                set("EINHORN_FD_\(index)", ByteString(decimal: socket.descriptor))
            }
        case .unicorn:
            set("UNICORN_FD", joined(sockets.map { ByteString(decimal: $0.descriptor) }, by: ","))
        case .phpFPM:
            // php-fpm looks for the path in its configuration, which is the one that clients have.
            set(
                "FPM_SOCKETS",
                joined(pairs(sockets, zip(sockets, addresses).map { $0.transport == .unix ? $0.address : $1 }), by: ",")
            )
        case .cluster, .inetd, .adopt:
            break
        }
    }

    /// Tells the preload library which sockets to give the program when it binds: descriptor, cookie, backlog, and the
    /// path, which is not the bound one if the plan is gated.
    mutating func addAdoptable(_ plan: Plan, cookies: [UInt64]) {
        var list = ByteString()
        for (index, socket) in plan.sockets.enumerated() {
            let path = socket.address.path ?? ""
            list.append("\(socket.descriptor):\(cookies[index]):\(socket.backlog ?? Int32.max):")
            list.append("\(path.count):\(path);")
        }
        set("REUSEPORT_EXEC_ADOPT", list)
    }

    /// `ADDRESS=DESCRIPTOR` of each socket.
    private func pairs(_ sockets: [SocketPlan], _ addresses: [SocketAddress]) -> [ByteString] {
        zip(sockets, addresses).map { "\($1.description)=\($0.descriptor)" }
    }
}
