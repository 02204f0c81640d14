import CLinux

/// How a process has ended.
enum ProcessEnd: Equatable {
    case exited(Int32)
    case killed(Int32)

    /// From a status as wait(2) has it.
    init(waitStatus status: Int32) {
        let signal = status & 0x7F
        self = signal == 0 ? .exited(status >> 8 & 0xFF) : .killed(signal)
    }

    /// `exited with 3`, `killed by signal 9 (KILL)`.
    var description: ByteString {
        switch self {
        case .exited(let code): "exited with \(code)"
        case .killed(let number): "killed by signal \(number)\(signalInBrackets(number))"
        }
    }
}

/// Why a copy that has ended did so: `exited with 3`, `killed by signal 9 (KILL)`; `it has ended` if nobody can tell.
func endReason(of copy: borrowing ProcessHandle) -> ByteString { end(of: copy)?.description ?? "it has ended" }

/// The status of a process that need not be our child, once it has ended. Nil where it cannot be had: the kernel keeps
/// it in the pidfd (PIDFD_GET_INFO) from the moment the parent has been told, since Linux 6.15; before that moment it
/// is in /proc, for those who may trace the process.
func end(of copy: borrowing ProcessHandle) -> ProcessEnd? {
    // Between the two, a parent can have been told; and a parent that is slow is waited for if only the pidfd will
    // tell.
    let deadline = Deadline(after: Milliseconds(100))
    while true {
        if let end = endInPidfd(of: copy) { return end }
        switch endInProc(of: copy) {
        case .known(let end): return end
        case .hidden: if deadline.hasPassed { return nil }
        case .gone: return endInPidfd(of: copy)
        }
        poll(nil, 0, 5)
    }
}

private func endInPidfd(of copy: borrowing ProcessHandle) -> ProcessEnd? {
    var status: Int32 = 0
    return clinux_pidfd_exit_status(copy.descriptor.number, &status) == 0 ? ProcessEnd(waitStatus: status) : nil
}

private enum ProcEnd {
    case known(ProcessEnd)
    case hidden, gone
}

/// Field 52 of proc_pid_stat(5), which is 0 for those who may not trace the process.
private func endInProc(of copy: borrowing ProcessHandle) -> ProcEnd {
    guard let line = try? ProcFileSystem().read("\(copy.identity.pid)/stat"),
        let status = ProcessStatus(parsing: line), status.identity == copy.identity,
        let close = line.lastIndex(of: UInt8(ascii: ")"))
    else { return .gone }
    // Field 3 is the first behind the name, and this one the last that Linux has had for long; the line ends there.
    let fields = line.prefix(line.count - 1).dropFirst(close + 2).split(on: UInt8(ascii: " "))
    guard status.hasEnded, fields.count > 49, let code = fields[49].decimal, code <= 0xFFFF else { return .hidden }
    if code == 0 && geteuid() != 0 { return .hidden }
    return .known(ProcessEnd(waitStatus: Int32(code)))
}

/// ` (KILL)`; nothing for a number without a name.
private func signalInBrackets(_ number: Int32) -> ByteString {
    let name = signalName(number)
    return name == ByteString(decimal: number) ? "" : " (\(name))"
}
