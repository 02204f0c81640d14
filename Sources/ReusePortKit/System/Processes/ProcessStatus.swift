/// Some fields of proc_pid_stat(5).
struct ProcessStatus: Hashable, Sendable {
    let identity: ProcessIdentity
    /// The command's name: at most 15 bytes, any bytes.
    let name: ByteString
    /// `R` running, `S` and `D` sleeping, `T` and `t` stopped, `Z` and `X` ended.
    let state: UInt8
    let parent: Int32

    /// Ended; its parent may not have waited for it yet.
    var hasEnded: Bool { state == UInt8(ascii: "Z") || state == UInt8(ascii: "X") }
    /// Stopped by a signal or a tracer.
    var isStopped: Bool { state == UInt8(ascii: "T") || state == UInt8(ascii: "t") }

    init(of pid: Int32, in proc: ProcFileSystem = ProcFileSystem()) throws(Errno) {
        guard let parsed = ProcessStatus(parsing: try proc.read("\(pid)/stat")) else { throw .noProcess }
        self = parsed
    }

    /// Parses a line of proc_pid_stat(5). The name is in parentheses and may contain blanks and parentheses, so the
    /// last closing one ends it.
    init?(parsing line: ByteString) {
        guard let open = line.firstIndex(of: UInt8(ascii: "(")), let close = line.lastIndex(of: UInt8(ascii: ")")),
            open < close, let pid = line.prefix(open).trimmed.decimal, pid <= UInt64(Int32.max)
        else { return nil }
        let fields = line.dropFirst(close + 2).split(on: UInt8(ascii: " "))
        // Field 3, the state, is the first after the name.
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

/// Reads the effective user id from /proc/PID/status. The owner of /proc/PID itself may be root for a process that has
/// changed its credentials (see PR_SET_DUMPABLE).
func userID(of pid: Int32, in proc: ProcFileSystem = ProcFileSystem()) throws(Errno) -> UInt32 {
    for line in try proc.read("\(pid)/status").split(on: UInt8(ascii: "\n")) where line.hasPrefix("Uid:\t") {
        let ids = line.dropFirst(5).split(on: UInt8(ascii: "\t"))
        if ids.count > 1, let id = ids[1].decimal, id <= UInt64(UInt32.max) { return UInt32(id) }
    }
    throw .noProcess
}
