import CLinux

/// Ready when the shell has run the command with success. The command finds the copy's pid in REUSEPORT_EXEC_PID, and in
/// REUSEPORT_EXEC_PROBE_NAME where it reaches the copy's listener of that name.
///
/// It gets no input, its output is dropped, and its standard error is ours.
func awaitSuccess(
    of command: ByteString, about pid: Int32, _ listeners: [ListenerIdentity], _ watch: inout Watch,
    connect: (Int) throws(Failure) -> Descriptor
) throws(NotReady) {
    let ours: ByteString = "REUSEPORT_EXEC_P"
    var variables = callersEnvironment().filter { !$0.hasPrefix(ours) }
    variables.append("REUSEPORT_EXEC_PID=\(pid)")
    var relay = try orNotReady("run", "/bin/sh") { () throws(Errno) in
        try Relay(to: listeners, named: &variables)
    }
    let environment = CStrings(variables)
    let arguments = CStrings(["/bin/sh", "-c", command])
    // Our caller may have had SIGCHLD ignored, and then children leave no status.
    clinux_default_signal(SIGCHLD)
    watch.expect(.commandRuns)
    var pause: UInt64 = 100
    while true {
        var child = try orNotReady("run", "/bin/sh") { () throws(Errno) in
            let child = try Child(arguments, environment)
            try relay.watch(child.pidfd)
            return child
        }
        while (try? waitForEvents(POLLIN, on: child.pidfd, until: Deadline(moment: 0))) != true {
            _ = try watch.wait(for: POLLIN, on: relay.events.number)
            try relay.pass(connect)
        }
        let end = ProcessEnd(waitStatus: child.reap())
        if end == .exited(0) { return }
        watch.see(.commandEnded(end))
        relay.close()
        _ = try watch.wait(atMost: pause)
        pause = min(pause * 2, 1000)
    }
}

extension HTTPCheck {
    /// The command that asks over TLS, by curl(1). It does not look at the certificate, which is not for this host.
    var command: ByteString {
        var text: ByteString = "s=$(curl -sSk -m 10 -o /dev/null -w '%{http_code}' --noproxy '*' "
        if proxy != 0 { text.append("--haproxy-protocol ") }
        text.append("--connect-to \"::${")
        text.append(probeVariable(socket))
        text.append(":?}\" 'https://")
        text.append(host.isEmpty ? "localhost" : host)
        // A quote would end the word.
        text.append(joined(path.split(on: UInt8(ascii: "'")), by: "%27"))
        text.append("') && { [ $s -ge ")
        text.append(decimal: lowestStatus)
        text.append(" -a $s -le ")
        text.append(decimal: highestStatus)
        text.append(" ] || { echo answered $s >&2; false; }; }")
        return text
    }
}
