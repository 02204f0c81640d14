/// The text of `--dry-run`: what would be done, step by step. `app` is set with `--app` and `deploy`; `copies` is how
/// many deploy would start.
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
    if let app { showSteps(app, line) }
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

/// Adds a line for each step that `--app` adds. The launcher registers; its helper does the rest.
private func showSteps(_ app: AppRequest, _ line: (ByteString, ByteString) -> Void) {
    let generation: ByteString = app.generation.map { "generation \($0)" } ?? "the next number as generation"
    let place: ByteString = (try? runDirectory(of: app)).map { ", in \($0)" } ?? ""
    line("register", "app \(app.name), \(generation), copy \(app.copy) of \(app.copies)\(place)")
    line("wait", "for another handoff of the app, \(app.lockTimeout.description) at most")
    line("steer", "by \(app.steering.name), balance \((app.balance ?? .random).name)")
    line("log", "to descriptor \(app.logDescriptor), \(app.verbosity.description)")
    line("wait", "for readiness by \(app.readiness.description), \(app.readyTimeout.description) at most")
    line("cut over", app.copies == 1 ? "when it is ready" : "when all \(app.copies) copies are ready")
    func limit(_ size: UInt64?, _ what: ByteString) {
        if let size { line("limit", "\(what) \(memorySize(size))") }
    }
    limit(app.memoryHigh, "slow the copy down when its memory is more than")
    limit(app.memoryMax, "the copy's memory to")
    limit(app.appMemoryMax, "the memory of all copies together to")
    if let number = app.notifyDescriptor { line("notify", "descriptor \(number)") }
    let settle = (app.settle ?? AppRequest.usualSettle).description
    line("settle", app.settle == nil ? "for \(settle), unless steered by ebpf" : "for \(settle)")
    if app.drain.count > 0 {
        line("drain", "until connections have ended, \(app.drain.description) at most")
    }
    let keep: ByteString =
        app.keepRetired == 0 ? "none may run beyond its stop timeout" : "\(app.keepRetired) may finish"
    line("retire", "the old generation; \(keep)")
    let stopping =
        app.stopMessages.isEmpty ? signalName(app.stopSignal) : "the message \(app.stopMessages)"
    let nice: ByteString = app.retiredNice.map { ", nice \($0)" } ?? ""
    line("later", "be stopped by \(stopping), and KILL after \(app.stopTimeout.description)\(nice)")
}

extension Readiness {
    /// As `--ready` takes it.
    fileprivate var description: ByteString {
        switch self {
        case .accept: "accept"
        case .http(let check): check.text
        case .notify: "notify"
        case .message: "ipc"
        case .acknowledgement: "ack"
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

/// The command with the arguments that dialects append. Ports that are not known yet stay templates.
private func shownCommand(_ plan: Plan) -> [ByteString] {
    let addresses = plan.sockets.map { $0.address }
    return plan.command.map { $0.shown(plan.sockets) } + announce(plan, addresses).arguments
}

/// A word as it is written in a shell. Templates such as `{port}` stay readable.
private func quoted(_ word: ByteString) -> ByteString {
    quotedForShell(word) { $0 >= 0x80 || ByteString("=+@%{}").contains($0) }
}

/// The addresses that the copies of a deploy bind: one for all, or one for each.
private func addresses(_ socket: SocketPlan, _ copies: Int) -> [ByteString] {
    var result: [ByteString] = []
    for copy in 0..<copies {
        let address = copies == 1 ? socket.address : socket.address(of: copy)
        if copy == 0 || address != socket.address { result.append(socket.written(at: address)) }
    }
    return result
}

/// The text of `--dry-run --json`: one object, with null for what stays as the caller has it.
func showAsJSON(_ plan: Plan, _ app: AppRequest?, copies: Int = 1) -> ByteString {
    var object = JSONObject()
    object.add("sockets", value: array(of: plan.sockets.map { asJSON($0, copies: copies) }))
    object.add("files", value: array(of: plan.files.map(asJSON)))
    object.add("channel", value: plan.channel.map { array(of: [json($0.near), json($0.far)]) } ?? "null")
    object.add("app", value: app.map { asJSON($0) } ?? "null")
    object.add("keep_descriptors", value: array(of: plan.keptDescriptors.map { json($0) }))
    object.add("chroot", plan.chroot)
    object.add("user", plan.identity.user)
    object.add("group", plan.identity.group)
    object.add("groups", value: plan.identity.groups.map { array(of: $0.map { json($0) }) } ?? "null")
    object.add("chdir", plan.chdir)
    object.add("umask", mode(plan.umask))
    object.add("no_new_privs", plan.noNewPrivileges)
    object.add("pass", value: array(plan.dialects.map { $0.name }))
    object.add("preload", plan.library)
    object.add("clear_environment", plan.clearsEnvironment)
    object.add("keep_variables", value: array(plan.keptVariables))
    var environment = JSONObject()
    for (name, value) in plan.variables { environment.add(key: name, value: json(value.shown(plan.sockets))) }
    object.add("environment", value: environment.text)
    object.add("command", value: array(shownCommand(plan)))
    return "\(object.text)\n"
}

private func asJSON(_ file: FilePlan) -> ByteString {
    var object = JSONObject()
    object.add("name", file.name)
    object.add("path", file.path)
    object.add("flags", file.request.flags)
    object.add("descriptor", file.descriptor)
    return object.text
}

private func asJSON(_ socket: SocketPlan, copies: Int) -> ByteString {
    var object = JSONObject()
    object.add("name", socket.name)
    object.add("address", socket.written)
    object.add("transport", socket.transport.name)
    object.add("addresses", value: array(addresses(socket, copies)))
    object.add("descriptor", socket.descriptor)
    object.add("listening", socket.isListening && socket.transport != .udp)
    object.add("backlog", socket.backlog)
    object.add("mode", mode(socket.mode))
    object.add("owner", socket.owner)
    object.add("group", socket.group)
    object.add("freebind", socket.isFreebind)
    object.add("device", socket.device)
    object.add("nodelay", socket.isNodelay)
    return object.text
}

private func asJSON(_ app: AppRequest) -> ByteString {
    var object = JSONObject()
    object.add("name", app.name)
    object.add("generation", app.generation)
    object.add("copies", app.copies)
    object.add("copy", app.copy)
    object.add("steering", app.steering.name)
    object.add("balance", (app.balance ?? .random).name)
    object.add("ready", app.readiness.description)
    object.add("ready_timeout_ms", app.readyTimeout.count)
    object.add("settle_ms", (app.settle ?? AppRequest.usualSettle).count)
    object.add("drain_ms", app.drain.count)
    object.add("lock_timeout_ms", app.lockTimeout.count)
    object.add("stop_signal", signalName(app.stopSignal))
    object.add("stop_messages", value: array(of: messages(app.stopMessages)))
    object.add("stop_timeout_ms", app.stopTimeout.count)
    object.add("keep_retired", app.keepRetired)
    object.add("retired_nice", app.retiredNice)
    object.add("memory_high", app.memoryHigh)
    object.add("memory_max", app.memoryMax)
    object.add("app_memory_max", app.appMemoryMax)
    object.add("run_directory", try? runDirectory(of: app))
    object.add("notify_descriptor", app.notifyDescriptor)
    object.add("log_descriptor", app.logDescriptor)
    object.add("log", app.verbosity.description)
    return object.text
}

private func mode(_ value: UInt32?) -> ByteString? { value.map { "0\(ByteString(octal: $0))" } }
