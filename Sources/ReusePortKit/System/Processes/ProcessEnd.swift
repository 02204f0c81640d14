import CLinux

/// The way in which a process ended.
enum ProcessEnd: Equatable {
    case exited(Int32)
    case killed(Int32)

    /// Decodes a wait(2) status.
    init(waitStatus status: Int32) {
        let signal = status & 0x7F
        self = signal == 0 ? .exited(status >> 8 & 0xFF) : .killed(signal)
    }

    /// `exited with 3`, `killed by signal 9 (KILL)`.
    var description: ByteString {
        switch self {
        case .exited(let code): "exited with \(code)"
        case .killed(let number):
            "killed by signal \(number)\(nameIfAny(ofSignal: number).map { " (\($0))" } ?? "")"
        }
    }
}

/// Finds out how a process ended that may be anybody's child; nil if that is not possible.
///
/// waitid(2) has the status of a caller's own child. /proc has it until the parent has waited for the process, for
/// callers that may trace it. The pidfd has it after that (PIDFD_GET_INFO, Linux 6.15).
func end(of copy: borrowing ProcessHandle) -> ProcessEnd? {
    // Tries again, because the parent may wait for the process between the two reads. If /proc hides the status, polls
    // until the parent has waited: the kernel has no event for that.
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

/// Reads field 52 of proc_pid_stat(5), which is 0 for callers that may not trace the process.
private func endInProc(of copy: borrowing ProcessHandle) -> ProcEnd {
    guard let line = try? ProcFileSystem().read("\(copy.identity.pid)/stat"),
        let status = ProcessStatus(parsing: line), status.identity == copy.identity,
        let close = line.lastIndex(of: UInt8(ascii: ")"))
    else { return .gone }
    // Field 3 is the first after the name. Field 52 is the last of the line.
    let fields = line.prefix(line.count - 1).dropFirst(close + 2).split(on: UInt8(ascii: " "))
    guard status.hasEnded, fields.count > 49, let code = fields[49].decimal, code <= 0xFFFF else { return .hidden }
    // Root in a container lacks CAP_SYS_PTRACE, which is number 19.
    if code == 0, geteuid() != 0 || clinux_prctl(PR_CAPBSET_READ, 19, 0, 0, 0) != 1 { return .hidden }
    return .known(ProcessEnd(waitStatus: Int32(code)))
}
