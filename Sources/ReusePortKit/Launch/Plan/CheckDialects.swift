/// Refuses plans that a dialect cannot express, before anything is bound.
func checkDialects(_ plan: Plan) throws(Failure) {
    for dialect in plan.dialects {
        try check(dialect, plan)
        for variable in plan.variables where dialect.sets(variable.name) {
            throw .usage("set", "variable \(variable.name)", "--pass \(dialect.name) sets it")
        }
        // The program gets these sockets through the channel, and could not close another copy.
        if plan.sendsSockets, dialect != .cluster, dialect != .nodesockd, dialect != .nodesockd2 {
            throw .usage(
                "pass", "sockets in dialect \(dialect.name)", "they are sent through the Node channel",
                remedy: "leave it out, or use --ready ipc instead of cluster")
        }
    }
    if plan.dialects.contains(.cluster), !plan.isGated {
        throw .usage("pass", "sockets in dialect cluster", "it goes with --app, whose helper answers the program")
    }
    for variable in plan.variables where plan.channel != nil && variable.name.hasPrefix("NODE_CHANNEL_") {
        throw .usage("set", "variable \(variable.name)", "it describes the Node channel")
    }
}

extension Dialect {
    /// Whether this dialect gives the variable its value.
    @inline(never)
    func sets(_ name: ByteString) -> Bool {
        switch self {
        case .systemd: name == "LISTEN_FDS" || name == "LISTEN_PID" || name == "LISTEN_FDNAMES"
        case .lactoserv: name == "LACTOSERV_FDS"
        case .nodesockd, .nodesockd2: name == "LISTEN_ON" || name.hasPrefix("NODESOCKD_")
        case .cluster: name == "NODE_UNIQUE_ID"
        case .nginx: name == "NGINX"
        case .serverStarter: name == "SERVER_STARTER_PORT" || name == "SERVER_STARTER_GENERATION"
        case .einhorn: name.hasPrefix("EINHORN_")
        case .unicorn: name == "UNICORN_FD"
        case .phpFPM: name == "FPM_SOCKETS"
        case .adopt: name == "REUSEPORT_EXEC_ADOPT"
        case .niagra, .niagra2, .inetd: false
        }
    }
}

private func check(_ dialect: Dialect, _ plan: Plan) throws(Failure) {
    let names = plan.sockets.map { $0.name } + plan.files.map { $0.name }
    func failure(_ name: ByteString, _ reason: ByteString) -> Failure {
        .usage(
            "pass", "\(name) in dialect \(dialect.name)", reason,
            remedy: "give it another name or choose another dialect")
    }
    switch dialect {
    case .systemd:
        for name in names {
            // systemd's fdname_is_valid has these rules.
            if name.contains(UInt8(ascii: ":")) { throw failure(name, "a name in LISTEN_FDNAMES cannot have a colon") }
            if name.bytes.contains(where: { $0 < 0x20 || $0 >= 0x7F }) {
                throw failure(name, "a name in LISTEN_FDNAMES has printable ASCII characters only")
            }
            if name.count > 255 { throw failure(name, "a name in LISTEN_FDNAMES has at most 255 characters") }
        }
        try checkOrder(plan)
    case .niagra, .niagra2:
        for name in names where name.contains(UInt8(ascii: ",")) {
            throw failure(name, "commas separate name and descriptor")
        }
    case .lactoserv:
        for name in names where !name.isUTF8 { throw failure(name, "names in JSON must be UTF-8") }
    case .nodesockd, .nodesockd2:
        guard plan.sockets.count(where: { $0.transport == .unix }) == 1 else {
            throw .usage("pass", "sockets in dialect \(dialect.name)", "it has room for exactly one unix socket")
        }
    case .serverStarter, .phpFPM:
        let (separator, variable): (UInt8, ByteString) =
            dialect == .phpFPM ? (UInt8(ascii: ","), "FPM_SOCKETS") : (UInt8(ascii: ";"), "SERVER_STARTER_PORT")
        for socket in plan.sockets {
            if let path = socket.address.path, path.contains(separator) || path.contains(UInt8(ascii: "=")) {
                throw failure(socket.name, "'\(ByteString([separator]))' and '=' separate the entries of \(variable)")
            }
        }
    case .inetd:
        guard plan.sockets.count == 1 else {
            throw .usage(
                "pass", "\(plan.sockets.count) sockets in dialect inetd", "descriptor 0 has room for exactly one")
        }
    case .cluster, .nginx, .einhorn, .unicorn, .adopt:
        break
    }
}

/// LISTEN_FDS has only the number of descriptors, so they must stand at 3 and after without a gap, sockets first.
private func checkOrder(_ plan: Plan) throws(Failure) {
    var expected: Int32 = 3
    let all =
        plan.sockets.map { ($0.name, $0.descriptor) } + plan.files.map { ($0.name, $0.descriptor) }
    for (name, descriptor) in all {
        guard descriptor == expected else {
            throw .usage(
                "pass", "\(name) in dialect systemd", "it would be at descriptor \(descriptor) instead of \(expected)",
                remedy: "leave fd= and --keep-fd \(expected) out, or choose another dialect with --pass")
        }
        expected += 1
    }
}
