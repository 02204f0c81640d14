import CLinux

/// Where system programs are looked for, whatever the caller's PATH is.
let safeSearchPath: ByteString = "/usr/bin:/bin"

/// How a system program has ended.
struct ToolEnd {
    /// The status of wait(2); 0 if the caller ignores SIGCHLD, so that there is none. Nil if the program took too long
    /// and was killed.
    var status: Int32?
    /// What it wrote to standard output, if that was asked for.
    var output = ByteString()
}

/// Runs a system program. It gets no input; `reads` collects its standard output, all other output goes nowhere.
func runTool(
    _ name: ByteString, _ arguments: [ByteString], environment: [ByteString], searchPath: ByteString,
    timeout: Milliseconds, reads: Bool = false
) throws(Failure) -> ToolEnd {
    guard let program = findProgram(name, in: searchPath) else {
        throw Failure(.system, "run", name, "it is not in \(searchPath)")
    }
    let pipe = try step("run", program) { () throws(Errno) in try PipeEnds() }
    let deadline = Deadline(after: timeout)
    let pid = try step("run", program) { () throws(Errno) in
        try spawn(program, [name] + arguments, environment, output: reads ? pipe.writer.number : nil)
    }
    pipe.writer.release(closing: ())
    var end = ToolEnd(status: 0)
    if reads { end.output = readUntil(deadline, pipe.reader) }
    // Opening the handle fails with ESRCH if SIGCHLD is ignored and the program has gone already.
    if let process = try? ProcessHandle(to: pid), (try? process.waitForExit(until: deadline)) != true {
        try? process.signal(SIGKILL)
        _ = try? uninterrupted { waitpid(pid, nil, 0) }
        end.status = nil
        return end
    }
    var status: Int32 = 0
    if (try? uninterrupted { waitpid(pid, &status, 0) }) == pid { end.status = status }
    return end
}

/// Reads until the other end is closed, at most 256 kB.
private func readUntil(_ deadline: Deadline, _ reader: borrowing Descriptor) -> ByteString {
    var result = ByteString()
    var buffer = [UInt8](repeating: 0, count: 4096)
    let number = reader.number
    while result.count < 1 << 18, (try? waitForEvents(POLLIN, on: reader, until: deadline)) == true {
        guard let count = try? uninterrupted({ read(number, &buffer, 4096) }), count > 0 else { break }
        result.append(ByteString(buffer.prefix(count)))
    }
    return result
}

/// Finds an executable program in the absolute directories of a search path.
func findProgram(_ name: ByteString, in searchPath: ByteString) -> ByteString? {
    for directory in searchPath.split(on: UInt8(ascii: ":")) where directory.hasPrefix("/") {
        let path: ByteString = "\(directory)/\(name)"
        if path.withCString({ access($0, X_OK) }) == 0 { return path }
    }
    return nil
}

/// posix_spawn(3) with nothing but /dev/null and `output` open, and no signal blocked or ignored.
private func spawn(
    _ program: ByteString, _ arguments: [ByteString], _ environment: [ByteString], output: Int32?
) throws(Errno) -> Int32 {
    var actions = posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawnattr_init(&attributes)
    defer {
        posix_spawn_file_actions_destroy(&actions)
        posix_spawnattr_destroy(&attributes)
    }
    for number in Int32(0)...2 { clinux_spawn_with_null(&actions, number) }
    if let output { posix_spawn_file_actions_adddup2(&actions, output, 1) }
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
