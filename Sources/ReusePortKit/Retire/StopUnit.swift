import CLinux

/// `systemctl stop --no-block UNIT`, the only way to have systemd not start a unit again.
///
/// It is not silent: systemd sends the unit's KillSignal by itself (to all processes of the unit, unless KillMode says
/// otherwise), and KILL after TimeoutStopSec, also to a copy that finishes requests.
func stopUnit(
    _ unit: ByteString, ofUser isUser: Bool, searchPath: ByteString, timeout: Milliseconds = .seconds(10)
) throws(Failure) {
    let command: ByteString = isUser ? "systemctl --user stop" : "systemctl stop"
    guard let program = findProgram("systemctl", in: searchPath) else {
        throw Failure(.system, "run", "systemctl", "it is not in \(searchPath)")
    }
    var arguments: [ByteString] = ["systemctl", "--no-block", "stop", "--", unit]
    var environment: [ByteString] = ["PATH=\(searchPath)"]
    if isUser {
        arguments.insert("--user", at: 1)
        // Where systemctl finds the user's manager.
        environment.append("XDG_RUNTIME_DIR=/run/user/\(geteuid())")
    }
    let deadline = Deadline(after: timeout)
    let pid = try step("run", program) { () throws(Errno) in try spawn(program, arguments, environment) }
    // ESRCH: SIGCHLD is ignored, and it has gone without leaving an exit code.
    if let process = try? ProcessHandle(to: pid), (try? process.waitForExit(until: deadline)) != true {
        try? process.signal(SIGKILL)
        _ = try? uninterrupted { waitpid(pid, nil, 0) }
        throw Failure(.system, "stop", unit, "\(command) takes too long")
    }
    var status: Int32 = 0
    guard (try? uninterrupted { waitpid(pid, &status, 0) }) == pid, status != 0 else { return }
    throw Failure(
        .system, "stop", unit, "\(command) has failed", remedy: "run it by hand to see why")
}

func findProgram(_ name: ByteString, in searchPath: ByteString) -> ByteString? {
    for directory in searchPath.split(on: UInt8(ascii: ":")) where directory.hasPrefix("/") {
        let path: ByteString = "\(directory)/\(name)"
        if path.withCString({ access($0, X_OK) }) == 0 { return path }
    }
    return nil
}

/// posix_spawn(3), with nothing but /dev/null open, and no signal blocked or ignored.
private func spawn(
    _ program: ByteString, _ arguments: [ByteString], _ environment: [ByteString]
) throws(Errno) -> Int32 {
    var actions = posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawnattr_init(&attributes)
    defer {
        posix_spawn_file_actions_destroy(&actions)
        posix_spawnattr_destroy(&attributes)
    }
    for number in Int32(0)...2 { posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_RDWR, 0) }
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    sigfillset(&signals)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    let argv = CStrings(arguments)
    let variables = CStrings(environment)
    var pid: Int32 = 0
    let code = program.withCString {
        posix_spawn(&pid, $0, &actions, &attributes, argv.pointer, variables.pointer)
    }
    if code != 0 { throw Errno(rawValue: code) }
    return pid
}
