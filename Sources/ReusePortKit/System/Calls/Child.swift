import CLinux

/// A child in its own process group, with nothing as input, and standard error as its only output. If its owner ends
/// before `reap` is called, the whole group is killed, and the child is reaped.
struct Child: ~Copyable {
    let pidfd: Descriptor
    private let pid: Int32
    private var isReaped = false

    init(_ arguments: borrowing CStrings, _ environment: borrowing CStrings) throws(Errno) {
        let pid = try spawn(
            ByteString(cString: arguments.pointer[0]!), arguments, environment, in: .ownGroup,
            StandardDescriptors(error: 2))
        do throws(Errno) {
            pidfd = try openPidfd(pid)
        } catch {
            killGroup(of: pid)
            throw error
        }
        self.pid = pid
    }

    deinit { if !isReaped { killGroup(of: pid) } }

    /// Waits for the end of the child; returns its wait(2) status.
    mutating func reap() -> Int32 {
        isReaped = true
        return waitStatus(of: pid)
    }
}

/// Kills a child's process group, and reaps the child. No other process gets its number before that.
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
