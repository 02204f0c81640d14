import CLinux

/// A child in a process group of its own. If it is not waited for, the whole group is killed, so that no zombie is left
/// in any case.
struct Child: ~Copyable {
    let pidfd: Descriptor
    private let pid: Int32
    private var isReaped = false

    init(_ arguments: borrowing CStrings, _ environment: borrowing CStrings) throws(Errno) {
        var pid: Int32 = 0
        let code = clinux_spawn_in_group(&pid, arguments.pointer, environment.pointer)
        if code != 0 { throw Errno(rawValue: code) }
        do throws(Errno) {
            pidfd = try openPidfd(pid)
        } catch {
            killGroup(of: pid)
            throw error
        }
        self.pid = pid
    }

    deinit { if !isReaped { killGroup(of: pid) } }

    /// Waits for its end, and returns its status as wait(2) has it.
    mutating func reap() -> Int32 {
        isReaped = true
        return waitStatus(of: pid)
    }
}

/// Kills a child's process group, and reaps the child. Until it is reaped, no other process gets its number.
private func killGroup(of pid: Int32) {
    _ = kill(-pid, SIGKILL)
    _ = waitStatus(of: pid)
}

/// waitpid(2).
private func waitStatus(of pid: Int32) -> Int32 {
    var status: Int32 = 0
    _ = try? uninterrupted { waitpid(pid, &status, 0) }
    return status
}
