import CLinux

/// Ready when the shell has run the command with success. The command finds the copy's pid in REUSEPORT_EXEC_PID.
///
/// It gets no input, its output is dropped, and its standard error is ours.
func awaitSuccess(of command: ByteString, about pid: Int32, _ watch: inout Watch) throws(NotReady.Reason) {
    let name: ByteString = "REUSEPORT_EXEC_PID="
    let environment = CStrings(callersEnvironment().filter { !$0.hasPrefix(name) } + ["\(name)\(pid)"])
    let arguments = CStrings(["/bin/sh", "-c", command])
    // Our caller may have had SIGCHLD ignored, and then children leave no status.
    clinux_default_signal(SIGCHLD)
    watch.expect(.commandRuns)
    var pause: UInt64 = 100
    while true {
        var child = try orNotReady("start", "/bin/sh") { () throws(Errno) in try Child(arguments, environment) }
        _ = try watch.wait(for: POLLIN, on: child.pidfd.number)
        let end = ProcessEnd(waitStatus: child.reap())
        if end == .exited(0) { return }
        watch.see(.commandEnded(end))
        _ = try watch.wait(atMost: pause)
        pause = min(pause * 2, 1000)
    }
}
