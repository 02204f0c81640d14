import CLinux

/// The directories to search for system programs, instead of the caller's PATH.
var safeSearchPath: ByteString { "/usr/bin:/bin" }

/// The result of a system program.
struct ToolEnd {
    /// The wait(2) status; nil if the program took too long and was killed. 0 if the caller ignores SIGCHLD, because
    /// there is no status then.
    var status: Int32?
    /// Its standard output, if `reads` was set.
    var output = ByteString()
}

/// Runs a system program without input. `reads` collects its standard output; other output is discarded.
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
        try spawn(
            program, CStrings([name] + arguments), CStrings(environment), in: .inherited,
            StandardDescriptors(output: reads ? pipe.writer.number : nil))
    }
    pipe.writer.release(closing: ())
    var end = ToolEnd(status: 0)
    if reads { end.output = readUntil(deadline, pipe.reader) }
    // Opening the handle fails with ESRCH if SIGCHLD is ignored and the program has already ended.
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
func readUntil(_ deadline: Deadline, _ reader: borrowing Descriptor) -> ByteString {
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
