/// Identifies one process, and no other that gets its number later: the pid together with the start time.
struct ProcessIdentity: Hashable, Sendable {
    let pid: Int32
    /// Clock ticks from boot to start (field 22 of proc_pid_stat(5)). Comparable only on the same boot and in the same
    /// time namespace.
    let startTime: UInt64
}

extension ProcessIdentity {
    /// The process that has this number now; ESRCH or ENOENT if there is none, or /proc is not mounted.
    @inline(never)
    init(of pid: Int32, in proc: ProcFileSystem = ProcFileSystem()) throws(Errno) {
        self = try ProcessStatus(of: pid, in: proc).identity
    }

    /// Returns whether the process still exists, and one of its threads runs.
    @inline(never)
    func isAlive(in proc: ProcFileSystem = ProcFileSystem()) -> Bool {
        guard let status = try? ProcessStatus(of: pid, in: proc), status.identity == self else { return false }
        if !status.hasEnded { return true }
        // A process whose first thread has ended looks like a zombie while the others serve. The pidfd knows better.
        guard let handle = try? ProcessHandle(to: self, in: proc) else { return false }
        return !handle.hasExited
    }

    /// Waits until the last thread of the process has ended.
    func awaitLastThread(within time: Milliseconds) {
        guard let handle = try? ProcessHandle(to: self) else { return }
        _ = try? handle.waitForExit(until: Deadline(after: time))
    }
}
