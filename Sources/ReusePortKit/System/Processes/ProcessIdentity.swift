/// One process, and no other that gets its number later: the number together with the moment it was started.
struct ProcessIdentity: Hashable, Sendable {
    let pid: Int32
    /// Clock ticks from boot to start (field 22 of proc_pid_stat(5)). To be compared with values read on the same boot
    /// and in the same time namespace only.
    let startTime: UInt64

    init(pid: Int32, startTime: UInt64) {
        self.pid = pid
        self.startTime = startTime
    }

    /// The process that has this number now; ESRCH or ENOENT when there is none (or /proc is not mounted).
    init(of pid: Int32, in proc: ProcFileSystem = ProcFileSystem()) throws(Errno) {
        self = try ProcessStatus(of: pid, in: proc).identity
    }

    /// Whether the process is still running: not gone, no zombie, and its number not another's.
    func isAlive(in proc: ProcFileSystem = ProcFileSystem()) -> Bool {
        guard let status = try? ProcessStatus(of: pid, in: proc) else { return false }
        return status.identity == self && !status.hasEnded
    }
}
