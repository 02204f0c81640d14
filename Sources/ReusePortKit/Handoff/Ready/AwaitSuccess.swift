import CLinux

/// Ready when the shell has run the command with success; REUSEPORT_EXEC_PID tells it of whom.
///
/// It has nothing to read, its output goes nowhere, its messages go where ours go.
func awaitSuccess(of command: ByteString, _ pid: Int32, _ watch: inout Watch) throws(Interruption) {
    let name: ByteString = "REUSEPORT_EXEC_PID="
    let environment = CStrings(callersEnvironment().filter { !$0.hasPrefix(name) } + ["\(name)\(pid)"])
    let arguments = CStrings(["/bin/sh", "-c", command])
    // Where this is ignored, by whoever started us, children leave no status.
    clinux_default_signal(SIGCHLD)
    watch.seen = "the command has not finished"
    var pause: UInt64 = 100
    while true {
        var child = try orGiveUp("start", "/bin/sh") { () throws(Errno) in try Child(arguments, environment) }
        _ = try watch.wait(for: POLLIN, on: child.pidfd.number)
        let end = ProcessEnd(waitStatus: child.reap())
        switch end {
        case .exited(0): return
        case .exited: watch.see("the command \(end.description)")
        case .killed: watch.see("the command was \(end.description)")
        }
        _ = try watch.wait(atMost: pause)
        pause = min(pause * 2, 1000)
    }
}

/// A child in a process group of its own, all of which is killed if it is not waited for: no zombie is left in any
/// case.
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
            end(pid)
            throw error
        }
        self.pid = pid
    }

    deinit { if !isReaped { end(pid) } }

    /// Its status, as wait(2) has it, once it has ended.
    mutating func reap() -> Int32 {
        isReaped = true
        return waitStatus(of: pid)
    }
}

/// Kills a child's process group. It is not reaped yet, so its number is nobody else's.
private func end(_ pid: Int32) {
    _ = kill(-pid, SIGKILL)
    _ = waitStatus(of: pid)
}

/// waitpid(2).
private func waitStatus(of pid: Int32) -> Int32 {
    var status: Int32 = 0
    _ = try? uninterrupted { waitpid(pid, &status, 0) }
    return status
}
