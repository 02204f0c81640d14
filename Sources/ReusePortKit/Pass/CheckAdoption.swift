import CLinux

/// Refuses programs that would not be loaded with the library of dialect `adopt`, or would bind without asking it.
///
/// Scripts are followed to what runs them. What a shell starts behind its first line, nobody can know.
func checkAdoption(_ plan: Plan) throws(Failure) {
    if plan.chroot != nil { throw refusal("its new root", "the library is outside of it") }
    let addresses = plan.sockets.map { $0.address }
    guard var program = plan.command.first?.filled(addresses) else { return }
    let environment = buildEnvironment(
        plan, caller: callersEnvironment(), addresses: addresses, announcement: Announcement())
    // The kernel follows four scripts that are run by scripts.
    for _ in 0..<5 {
        let path = try locateTarget(program, environment: environment, directory: plan.chdir ?? ".")
        let file = try step("examine", path) { () throws(Errno) in try open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY) }
        let line = readPart(of: file, at: 0, 256)
        guard line.hasPrefix("#!") else {
            if let reason = try obstacle(in: file, path, plan) { throw refusal(path, reason) }
            return
        }
        guard let next = interpreter(line) else { return }
        program = next
    }
}

private func refusal(_ program: ByteString, _ reason: ByteString) -> Failure {
    .usage("pass", "sockets in dialect adopt to \(program)", reason, remedy: "choose another dialect with --pass")
}

/// What a script's first line names; for env(1), what that looks for.
private func interpreter(_ text: ByteString) -> ByteString? {
    let line = text[2..<(text.firstIndex(of: UInt8(ascii: "\n")) ?? text.count)].replacing("\t", with: " ")
    var isForEnv = false
    for word in line.split(on: UInt8(ascii: " ")) where !word.isEmpty {
        if isForEnv && (word.hasPrefix("-") || word.contains(UInt8(ascii: "="))) { continue }
        if isForEnv || lastComponent(of: word) != "env" { return word }
        isForEnv = true
    }
    return nil
}

/// Why the library would not be asked; nil if nothing speaks against it.
private func obstacle(in file: borrowing Descriptor, _ path: ByteString, _ plan: Plan) throws(Failure) -> ByteString? {
    let image = ExecutableImage(file)
    // What is neither this nor a script is for others to say.
    guard image.isELF else { return nil }
    let own = try step("examine", "the launcher's own file") { () throws(Errno) in
        try ExecutableImage(open("/proc/self/exe", O_RDONLY))
    }
    guard image.kind == own.kind else { return "it is made for another processor" }
    guard let loader = image.loader, let ownLoader = own.loader else { return "it is linked statically" }
    guard lastComponent(of: loader) == lastComponent(of: ownLoader) else { return "its loader is \(loader)" }
    if image.isGo { return "programs in Go call the kernel themselves" }
    let facts = try step("examine", path) { () throws(Errno) in try status(of: file) }
    if gainsRights(file, facts, plan) { return "it gains rights when it starts, so ld.so preloads nothing" }
    return nil
}

/// Whether the kernel tells the loader to be careful (AT_SECURE).
private func gainsRights(_ file: borrowing Descriptor, _ facts: FileStatus, _ plan: Plan) -> Bool {
    let user = plan.identity.user ?? getuid()
    // Not undone by no_new_privs: the loader is told of them even where nothing is gained.
    if user != 0, fgetxattr(file.number, "security.capability", nil, 0) > 0 { return true }
    if plan.noNewPrivileges || clinux_prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 { return false }
    // Without the right to execute, the group's bit means something else.
    return facts.mode & 0o4000 != 0 && facts.owner != user
        || facts.mode & 0o2010 == 0o2010 && facts.group != plan.identity.group ?? getgid()
}
