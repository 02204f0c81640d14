import CLinux

/// Runs what `--on-exit` says. That it fails, or takes too long, changes nothing.
func runOnExit(
    _ command: ByteString, _ ending: ProcessEnd, _ request: VerbRequest, _ finished: Finished, _ isDown: Bool,
    _ log: LogLines
) {
    let copy = request.copy ?? 0
    var code = ByteString()
    var signal = ByteString()
    switch ending {
    case .exited(let number): code = ByteString(decimal: number)
    case .killed(let number): signal = signalName(number)
    }
    var sentence: ByteString = "copy \(copy) of \(request.app ?? "") \(request.generation ?? ""): "
    sentence.append(finished.reason.description)
    if let crashes = finished.crashes, crashes.count > 1 { sentence.append(", \(crashes.count) crashes in a row") }
    sentence.append(
        isDown
            ? finished.isOver ? "; its generation is over, and it stays down" : "; it stays down"
            : finished.pause.count == 0
                ? "; it is started again" : "; it is started again after \(finished.pause.description)")
    let variables: [(ByteString, ByteString)] = [
        ("APP", request.app ?? ""), ("GENERATION", request.generation ?? ""),
        ("COPY", ByteString(decimal: copy)), ("PID", finished.pid.map { ByteString(decimal: $0) } ?? ""),
        ("KIND", ending.kind), ("CODE", code), ("SIGNAL", signal),
        ("CRASHES", ByteString(decimal: finished.crashes?.count ?? 0)), ("NEXT", isDown ? "down" : "restart"),
        ("REASON", sentence),
    ]
    let prefix: ByteString = "REUSEPORT_EXEC_"
    let environment = CStrings(
        callersEnvironment().filter { !$0.hasPrefix(prefix) } + variables.map { "\(prefix)\($0.0)=\($0.1)" })
    clinux_default_signal(SIGCHLD)
    do throws(Errno) {
        var child = try Child(CStrings(["/bin/sh", "-c", command]), environment)
        guard try waitForEvents(POLLIN, on: child.pidfd, until: Deadline(after: .seconds(30))) else {
            return log.warning("--on-exit takes longer than 30s, and is killed")
        }
        let end = ProcessEnd(waitStatus: child.reap())
        if end != .exited(0) { log.warning("--on-exit \(end.description)") }
    } catch {
        log.warning("unable to run --on-exit: \(error.description)")
    }
}
