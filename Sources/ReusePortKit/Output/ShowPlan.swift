/// The text of `--dry-run`: what would be done, step by step. `app`: what goes with `--app` or `deploy`, which starts
/// so many `copies`.
func show(_ plan: Plan, _ app: AppRequest?, copies: Int = 1) -> ByteString {
    var text = ByteString()
    func line(_ verb: ByteString, _ what: ByteString) {
        var head = verb
        while head.count < 12 { head.append(UInt8(ascii: " ")) }
        text.append("\(head)\(what.printable)\n")
    }
    for socket in plan.sockets {
        let place: ByteString = plan.sendsSockets ? "through the Node channel" : "as descriptor \(socket.descriptor)"
        for address in addresses(socket, copies) {
            line("bind", "\(socket.name) to \(address)\(details(socket)), \(place)")
        }
    }
    for file in plan.files {
        line("open", "\(file.name) at \(file.path) (\(file.request.flags)), as descriptor \(file.descriptor)")
    }
    if let channel = plan.channel { line("open", "a Node channel, as descriptors \(channel.near) and \(channel.far)") }
    if let app { for (verb, what) in steps(app) { line(verb, what) } }
    if let path = plan.chroot { line("chroot", path) }
    if let groups = plan.identity.groups {
        line("groups", groups.isEmpty ? "none" : joined(groups.map { ByteString(decimal: $0) }, by: ","))
    }
    if let group = plan.identity.group { line("group", ByteString(decimal: group)) }
    if let user = plan.identity.user {
        line("user", plan.identity.account.map { "\(user) (\($0.name))" } ?? ByteString(decimal: user))
        line("give up", "capabilities; root must be out of reach")
    }
    if let path = plan.chdir { line("chdir", path) }
    if let mask = plan.umask { line("umask", "0\(ByteString(octal: mask))") }
    if plan.noNewPrivileges { line("set", "no_new_privs") }
    for number in plan.keptDescriptors { line("keep", "descriptor \(number)") }
    if !plan.dialects.isEmpty { line("pass", joined(plan.dialects.map { $0.name }, by: ",")) }
    if let library = plan.library { line("preload", library) }
    if plan.clearsEnvironment {
        line(
            "clear",
            "environment\(plan.keptVariables.isEmpty ? "" : ", but keep \(joined(plan.keptVariables, by: " "))")")
    }
    for (name, value) in plan.variables { line("env", "\(name)=\(value.shown(plan.sockets))") }
    line("execute", joined(shownCommand(plan).map(quoted), by: " "))
    return text
}

/// What goes with `--app`: registering is the launcher's, the rest is its helper's.
private func steps(_ app: AppRequest) -> [(ByteString, ByteString)] {
    let generation: ByteString = app.generation.map { "generation \($0)" } ?? "the next number as generation"
    let place: ByteString = runDirectory(of: app).map { ", in \($0)" } ?? ""
    var result: [(ByteString, ByteString)] = [
        ("register", "app \(app.name), \(generation), copy \(app.copy) of \(app.copies)\(place)"),
        ("wait", "for another handoff of the app, \(app.lockTimeout.description) at most"),
        ("steer", "by \(app.steering.name), balance \((app.balance ?? .random).name)"),
        ("log", "to descriptor \(app.logDescriptor), \(app.verbosity.description)"),
        ("wait", "for readiness by \(app.readiness.description), \(app.readyTimeout.description) at most"),
        ("cut over", app.copies == 1 ? "when it is ready" : "when all \(app.copies) copies are ready"),
    ]
    func limit(_ size: UInt64?, _ what: ByteString) {
        if let size { result.append(("limit", "\(what) \(memorySize(size))")) }
    }
    limit(app.memoryHigh, "slow the copy down when its memory is more than")
    limit(app.memoryMax, "the copy's memory to")
    limit(app.appMemoryMax, "the memory of all copies together to")
    if let number = app.notifyDescriptor { result.append(("notify", "descriptor \(number)")) }
    let settle = (app.settle ?? AppRequest.usualSettle).description
    result.append(("settle", app.settle == nil ? "for \(settle), unless steered by ebpf" : "for \(settle)"))
    let keep: ByteString =
        app.keepRetired == 0 ? "none finishes behind its stop timeout" : "\(app.keepRetired) may finish"
    result.append(("retire", "the old generation; \(keep)"))
    let stopping =
        app.stopMessages.isEmpty ? signalName(app.stopSignal) : "the message \(app.stopMessages)"
    let nice: ByteString = app.retiredNice.map { ", nice \($0)" } ?? ""
    result.append(
        ("later", "be stopped by \(stopping), and KILL after \(app.stopTimeout.description)\(nice)"))
    return result
}

/// Nil where none can be found; that is a mistake only when it is needed.
private func runDirectory(of app: AppRequest) -> ByteString? {
    if let given = app.runDirectory { return given }
    return try? defaultRunDirectory()
}

extension Readiness {
    /// As `--ready` takes it.
    fileprivate var description: ByteString {
        switch self {
        case .accept: "accept"
        case .http(let socket, let path): "http:\(socket):\(path)"
        case .notify: "notify"
        case .message: "ipc"
        case .descriptor(let number): "fd:\(number)"
        case .command(let command): "exec:\(command)"
        case .none: "none"
        }
    }
}

extension Verbosity {
    fileprivate var description: ByteString {
        switch self {
        case .quiet: "warnings only"
        case .steps: "each step"
        case .everything: "every change of state"
        }
    }
}

private func details(_ socket: SocketPlan) -> ByteString {
    var text = ByteString()
    if !socket.isListening { text.append(", not listening") }
    if let backlog = socket.backlog { text.append(", backlog \(backlog)") }
    if let mode = socket.mode { text.append(", mode 0\(ByteString(octal: mode))") }
    if let owner = socket.owner { text.append(", owner \(owner)") }
    if let group = socket.group { text.append(", group \(group)") }
    if socket.isFreebind { text.append(", freebind") }
    if let device = socket.device { text.append(", on interface \(device)") }
    if socket.isNodelay { text.append(", nodelay") }
    return text
}

/// The command with what dialects append to it; ports that are not known yet stay templates.
private func shownCommand(_ plan: Plan) -> [ByteString] {
    let addresses = plan.sockets.map { $0.address }
    return plan.command.map { $0.shown(plan.sockets) } + announce(plan, addresses).arguments
}

/// A word as a shell would need it written.
private func quoted(_ word: ByteString) -> ByteString {
    let isPlain =
        !word.isEmpty
        && word.bytes.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), 0x80...:
                true
            default: ByteString("_-./:=,+@%{}").contains(byte)
            }
        }
    if isPlain { return word }
    var result: ByteString = "'"
    for byte in word.bytes {
        if byte == UInt8(ascii: "'") { result.append("'\\''") } else { result.append(byte) }
    }
    result.append("'")
    return result
}

/// Where the copies of a deploy bind: at one address, or each at its own.
private func addresses(_ socket: SocketPlan, _ copies: Int) -> [ByteString] {
    var result: [ByteString] = []
    for copy in 0..<copies {
        let address = copies == 1 ? socket.address : socket.address(of: copy)
        if copy == 0 || address != socket.address { result.append(socket.written(at: address)) }
    }
    return result
}

/// The text of `--dry-run --json`: one object, with null for what is left as the caller has it.
func showAsJSON(_ plan: Plan, _ app: AppRequest?, copies: Int = 1) -> ByteString {
    func number<Number: FixedWidthInteger>(_ value: Number?) -> ByteString {
        value.map { ByteString(decimal: $0) } ?? "null"
    }
    func text(_ value: ByteString?) -> ByteString { value.map(json) ?? "null" }
    func mode(_ value: UInt32?) -> ByteString { value.map { json("0\(ByteString(octal: $0))") } ?? "null" }
    func flag(_ value: Bool) -> ByteString { value ? "true" : "false" }
    func list(_ values: [ByteString]) -> ByteString { "[\(joined(values, by: ","))]" }
    func object(_ members: [(ByteString, ByteString)]) -> ByteString {
        "{\(joined(members.map { "\(json($0.0)):\($0.1)" }, by: ","))}"
    }
    let sockets = plan.sockets.map { socket in
        object([
            ("name", json(socket.name)), ("address", json(socket.written)), ("transport", json(socket.transport.name)),
            ("addresses", list(addresses(socket, copies).map(json))),
            ("descriptor", number(socket.descriptor)),
            ("listening", flag(socket.isListening && socket.transport != .udp)),
            ("backlog", number(socket.backlog)), ("mode", mode(socket.mode)), ("owner", number(socket.owner)),
            ("group", number(socket.group)), ("freebind", flag(socket.isFreebind)), ("device", text(socket.device)),
            ("nodelay", flag(socket.isNodelay)),
        ])
    }
    let files = plan.files.map { file in
        object([
            ("name", json(file.name)), ("path", json(file.path)), ("flags", json(file.request.flags)),
            ("descriptor", number(file.descriptor)),
        ])
    }
    let app = app.map { app in
        object([
            ("name", json(app.name)), ("generation", text(app.generation)), ("copies", number(app.copies)),
            ("copy", number(app.copy)), ("steering", json(app.steering.name)),
            ("balance", json((app.balance ?? .random).name)),
            ("ready", json(app.readiness.description)), ("ready_timeout_ms", number(app.readyTimeout.count)),
            ("settle_ms", number((app.settle ?? AppRequest.usualSettle).count)),
            ("lock_timeout_ms", number(app.lockTimeout.count)),
            ("stop_signal", json(signalName(app.stopSignal))), ("stop_messages", list(messages(app.stopMessages))),
            ("stop_timeout_ms", number(app.stopTimeout.count)),
            ("keep_retired", number(app.keepRetired)), ("retired_nice", number(app.retiredNice)),
            ("memory_high", number(app.memoryHigh)), ("memory_max", number(app.memoryMax)),
            ("app_memory_max", number(app.appMemoryMax)),
            ("run_directory", text(runDirectory(of: app))), ("notify_descriptor", number(app.notifyDescriptor)),
            ("log_descriptor", number(app.logDescriptor)), ("log", json(app.verbosity.description)),
        ])
    }
    let variables = plan.variables.map { (json($0.name), json($0.value.shown(plan.sockets))) }
    let plan = object([
        ("sockets", list(sockets)), ("files", list(files)),
        ("channel", plan.channel.map { list([number($0.near), number($0.far)]) } ?? "null"),
        ("app", app ?? "null"), ("keep_descriptors", list(plan.keptDescriptors.map { number($0) })),
        ("chroot", text(plan.chroot)),
        ("user", number(plan.identity.user)), ("group", number(plan.identity.group)),
        ("groups", plan.identity.groups.map { list($0.map { number($0) }) } ?? "null"), ("chdir", text(plan.chdir)),
        ("umask", mode(plan.umask)), ("no_new_privs", flag(plan.noNewPrivileges)),
        ("pass", list(plan.dialects.map { json($0.name) })), ("preload", text(plan.library)),
        ("clear_environment", flag(plan.clearsEnvironment)),
        ("keep_variables", list(plan.keptVariables.map(json))),
        ("environment", "{\(joined(variables.map { "\($0.0):\($0.1)" }, by: ","))}"),
        ("command", list(shownCommand(plan).map(json))),
    ])
    return "\(plan)\n"
}
