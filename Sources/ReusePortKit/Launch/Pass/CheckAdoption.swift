import CLinux

/// Refuses programs that would not load the library of dialect `adopt`, or would bind without asking it.
///
/// For a script it checks the interpreter, but not the programs that the script starts.
func checkAdoption(_ plan: Plan) throws(Failure) {
    let addresses = plan.sockets.map { $0.address }
    let environment = buildEnvironment(
        plan, caller: callersEnvironment(), addresses: addresses, announcement: Announcement())
    var program = plan.command.first?.filled(addresses, copy: plan.copy)
    // The kernel follows up to four interpreters that are scripts themselves.
    var left = 5
    while let name = program, left > 0 {
        let path = try locateTarget(name, environment: environment, directory: plan.chdir ?? ".")
        program = nil
        left -= 1
        if let reason = try step("examine", path, { () throws(Errno) in try obstacle(in: path, plan, &program) }) {
            throw .usage(
                "pass", "sockets in dialect adopt to \(path)", reason, remedy: "choose another dialect with --pass")
        }
    }
}

/// Why the library would not be asked; nil if it would be. Sets `interpreter` for a script.
private func obstacle(
    in path: ByteString, _ plan: Plan, _ interpreter: inout ByteString?
) throws(Errno) -> ByteString? {
    if plan.chroot != nil { return "the library is outside of its new root" }
    let file = try open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
    // The kernel looks at no more of the first line.
    let line = readPart(of: file, at: 0, 256)
    if line.hasPrefix("#!") {
        interpreter = interpreterName(line)
        return nil
    }
    let image = ExecutableImage(file)
    // Files of other kinds are left to execve(2).
    guard image.isELF else { return nil }
    let own = try ExecutableImage(open("/proc/self/exe", O_RDONLY))
    if image.kind != own.kind { return "it is made for another processor" }
    if image.loader.isEmpty { return "it is linked statically" }
    if lastComponent(of: image.loader) != lastComponent(of: own.loader) { return "its loader is \(image.loader)" }
    if image.isGo { return "programs in Go call the kernel themselves" }
    if gainsRights(file, try status(of: file), plan) {
        return "it gains rights when it starts, so nothing is preloaded"
    }
    return nil
}

/// The program that a script's first line names; for env(1), the one that it starts.
private func interpreterName(_ text: ByteString) -> ByteString? {
    let line = text[2..<(text.firstIndex(of: UInt8(ascii: "\n")) ?? text.count)].replacing("\t", with: " ")
    var isForEnv = false
    for word in line.split(on: UInt8(ascii: " ")) where !word.isEmpty {
        if isForEnv && (word.hasPrefix("-") || word.contains(UInt8(ascii: "="))) { continue }
        if isForEnv || lastComponent(of: word) != "env" { return word }
        isForEnv = true
    }
    return nil
}

/// Whether the kernel tells the loader to ignore LD_PRELOAD (AT_SECURE).
private func gainsRights(_ file: borrowing Descriptor, _ info: FileStatus, _ plan: Plan) -> Bool {
    let user = plan.identity.user ?? getuid()
    // A file's capabilities count even with no_new_privs, which only keeps them from being gained.
    if user != 0, clinux_has_capabilities(file.number) != 0 { return true }
    if plan.noNewPrivileges || clinux_prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 { return false }
    // The set-group-ID bit counts only together with the group's right to execute.
    return info.mode & 0o4000 != 0 && info.owner != user
        || info.mode & 0o2010 == 0o2010 && info.group != plan.identity.group ?? getgid()
}
