/// What proc_pid_stat(5) tells of a process, as far as it matters here.
struct ProcessStatus: Hashable, Sendable {
    let identity: ProcessIdentity
    /// The command's name: at most 15 bytes, any bytes.
    let name: ByteString
    /// `R` running, `S` and `D` sleeping, `T` and `t` stopped, `Z` and `X` ended.
    let state: UInt8
    let parent: Int32

    /// Ended, though its parent may not have asked for its exit status yet.
    var hasEnded: Bool { state == UInt8(ascii: "Z") || state == UInt8(ascii: "X") }
    /// Stopped by a signal or a tracer.
    var isStopped: Bool { state == UInt8(ascii: "T") || state == UInt8(ascii: "t") }

    init(of pid: Int32, in proc: ProcFileSystem = ProcFileSystem()) throws(Errno) {
        guard let parsed = ProcessStatus(parsing: try proc.read("\(pid)/stat")) else { throw .noProcess }
        self = parsed
    }

    /// The name stands in parentheses and may hold blanks and parentheses itself: the last closing one ends it.
    init?(parsing line: ByteString) {
        guard let open = line.firstIndex(of: UInt8(ascii: "(")), let close = line.lastIndex(of: UInt8(ascii: ")")),
            open < close, let pid = line.prefix(open).trimmed.decimal, pid <= UInt64(Int32.max)
        else { return nil }
        let fields = line.dropFirst(close + 2).split(on: UInt8(ascii: " "))
        // Field 3, the state, is the first behind the name.
        guard fields.count > 19, let state = fields[0].bytes.first, let start = fields[19].decimal,
            let parent = fields[1].decimal, parent <= UInt64(Int32.max)
        else { return nil }
        identity = ProcessIdentity(pid: Int32(pid), startTime: start)
        name = line[open + 1..<close]
        self.state = state
        self.parent = Int32(parent)
    }
}

/// /proc/PID/comm: the command's name, at most 15 bytes, any bytes.
func commandName(of pid: Int32, in proc: ProcFileSystem = ProcFileSystem()) throws(Errno) -> ByteString {
    let line = try proc.read("\(pid)/comm")
    return line.hasSuffix("\n") ? line.prefix(line.count - 1) : line
}

/// /proc/PID/cmdline: the arguments, as far as the program has not written over them. Empty for a process that has
/// ended, for the kernel's own, and for a moment in the middle of execve(2).
func commandLine(of pid: Int32, in proc: ProcFileSystem = ProcFileSystem()) throws(Errno) -> [ByteString] {
    let line = try proc.read("\(pid)/cmdline")
    if line.isEmpty { return [] }
    return (line.bytes.last == 0 ? line.prefix(line.count - 1) : line).split(on: 0)
}

/// The effective user id, from /proc/PID/status. The owner of /proc/PID itself would be root for a process that has
/// changed its credentials (see PR_SET_DUMPABLE).
func userID(of pid: Int32, in proc: ProcFileSystem = ProcFileSystem()) throws(Errno) -> UInt32 {
    for line in try proc.read("\(pid)/status").split(on: UInt8(ascii: "\n")) where line.hasPrefix("Uid:\t") {
        let ids = line.dropFirst(5).split(on: UInt8(ascii: "\t"))
        if ids.count > 1, let id = ids[1].decimal, id <= UInt64(UInt32.max) { return UInt32(id) }
    }
    throw .noProcess
}
