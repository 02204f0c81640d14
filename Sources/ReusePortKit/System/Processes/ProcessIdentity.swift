/// Identifies one process, and no other that gets its number later: the pid together with the start time.
struct ProcessIdentity: Hashable, Sendable {
    let pid: Int32
    /// Clock ticks from boot to start (field 22 of proc_pid_stat(5)). Comparable only on the same boot and in the same
    /// time namespace.
    let startTime: UInt64
}

extension ProcessIdentity {
    /// The process that has this number now; ESRCH or ENOENT if there is none, or /proc is not mounted.
    init(of pid: Int32, in proc: ProcFileSystem = ProcFileSystem()) throws(Errno) {
        self = try ProcessStatus(of: pid, in: proc).identity
    }

    /// Returns whether the process still exists and is not a zombie.
    func isAlive(in proc: ProcFileSystem = ProcFileSystem()) -> Bool {
        guard let status = try? ProcessStatus(of: pid, in: proc) else { return false }
        return status.identity == self && !status.hasEnded
    }
}
