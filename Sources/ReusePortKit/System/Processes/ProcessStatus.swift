import CLinux

/// Some fields of proc_pid_stat(5).
struct ProcessStatus: Hashable, Sendable {
    let identity: ProcessIdentity
    /// The command's name: at most 15 bytes, any bytes.
    let name: ByteString
    /// `R` running, `S` and `D` sleeping, `T` and `t` stopped, `Z` and `X` ended.
    let state: UInt8
    let parent: Int32

    /// Its first thread has ended; other threads may still run (`ProcessIdentity.isAlive`).
    var hasEnded: Bool { state == UInt8(ascii: "Z") || state == UInt8(ascii: "X") }
    /// Stopped by a signal or a tracer.
    var isStopped: Bool { state == UInt8(ascii: "T") || state == UInt8(ascii: "t") }

    @inline(never)
    init(of pid: Int32, in proc: ProcFileSystem = ProcFileSystem()) throws(Errno) {
        guard let parsed = ProcessStatus(parsing: try proc.read("\(pid)/stat")) else { throw .noProcess }
        self = parsed
    }

    /// The fields of a line of proc_pid_stat(5) from field 3, the state, on. The name before it is in parentheses and may
    /// contain blanks and parentheses, so the last closing one ends it.
    static func fields(of line: ByteString) -> [ByteString] {
        line.lastIndex(of: UInt8(ascii: ")")).map { line.dropFirst($0 + 2).split(on: UInt8(ascii: " ")) } ?? []
    }

    /// Parses a line of proc_pid_stat(5).
    init?(parsing line: ByteString) {
        guard let open = line.firstIndex(of: UInt8(ascii: "(")), let close = line.lastIndex(of: UInt8(ascii: ")")),
            open < close, let pid = line.prefix(open).trimmed.decimal, pid <= UInt64(Int32.max)
        else { return nil }
        let fields = ProcessStatus.fields(of: line)
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

/// The path of the program that a process executes. EACCES, EPERM: it may not be seen.
func executable(of pid: Int32) throws(Errno) -> ByteString {
    try readLink("\(pid)/exe", in: open("/proc", O_RDONLY | O_DIRECTORY))
}

/// Whether a signal ends a process at once, because it neither catches, blocks nor ignores it; false if that is not known.
/// A program that reads signals from a descriptor (signalfd(2)) blocks them.
func lacksHandler(_ signal: Int32, _ pid: Int32, in proc: ProcFileSystem) -> Bool {
    guard signal > 0, let status = try? proc.read("\(pid)/status") else { return false }
    var masks = 0
    for line in status.split(on: UInt8(ascii: "\n"))
    where (line.hasPrefix("SigCgt:") || line.hasPrefix("SigBlk:") || line.hasPrefix("SigIgn:")) && line.count > 23 {
        // A hexadecimal digit has four signals, and the last digit the first ones.
        let digit = line.bytes[line.count - 1 - Int(signal - 1) / 4]
        let value = digit < UInt8(ascii: "a") ? digit &- UInt8(ascii: "0") : digit &- UInt8(ascii: "a") &+ 10
        if value >> UInt8((signal - 1) % 4) & 1 != 0 { return false }
        masks += 1
    }
    return masks == 3
}

/// Reads the effective or real user id from /proc/PID/status. The owner of /proc/PID itself may be root for a process that has
/// changed its credentials (see PR_SET_DUMPABLE).
@inline(never)
func userID(
    of pid: Int32, real: Bool = false, in proc: ProcFileSystem = ProcFileSystem()
) throws(Errno) -> UInt32 {
    for line in try proc.read("\(pid)/status").split(on: UInt8(ascii: "\n")) where line.hasPrefix("Uid:\t") {
        let ids = line.dropFirst(5).split(on: UInt8(ascii: "\t"))
        if ids.count > 1, let id = ids[real ? 0 : 1].decimal, id <= UInt64(UInt32.max) { return UInt32(id) }
    }
    throw .noProcess
}
