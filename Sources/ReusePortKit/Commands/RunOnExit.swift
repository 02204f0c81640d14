import CLinux

/// Runs the command of `--on-exit`.
func runOnExit(_ command: ByteString, _ finished: Finished, _ request: VerbRequest, _ log: LogLines) {
    runHook("--on-exit", command, variables(finished, request), callersEnvironment(), log)
}

/// Runs the command of `--on-deploy`.
func runOnDeploy(
    _ command: ByteString, of app: AppRequest, _ outcome: DeployReport, hasFailed: Bool, _ environment: [ByteString]
) {
    runHook(
        "--on-deploy", command,
        [
            ("APP", app.name), ("GENERATION", outcome.label), ("RESULT", hasFailed ? "failed" : "ok"),
            ("REASON", outcome.sentence), ("COPIES", ByteString(decimal: app.copies)),
            ("DURATION_MS", ByteString(decimal: outcome.elapsed)),
        ], environment, LogLines(descriptor: 2, verbosity: app.verbosity, subject: app.name))
}

/// Runs a command of the user's in the shell. It changes nothing if that fails, or takes too long.
@inline(never)
private func runHook(
    _ option: ByteString, _ command: ByteString, _ variables: [(ByteString, ByteString)], _ environment: [ByteString],
    _ log: LogLines
) {
    let prefix: ByteString = "REUSEPORT_EXEC_"
    let environment = CStrings(
        environment.filter { !$0.hasPrefix(prefix) } + variables.map { "\(prefix)\($0.0)=\($0.1)" })
    clinux_default_signal(SIGCHLD)
    do throws(Errno) {
        var child = try Child(CStrings(["/bin/sh", "-c", command]), environment)
        guard try waitForEvents(POLLIN, on: child.pidfd, until: Deadline(after: .seconds(30))) else {
            return log.warning("\(option) takes longer than 30s, and is killed")
        }
        let end = ProcessEnd(waitStatus: child.reap())
        if end != .exited(0) { log.warning("\(option) \(end.description)") }
    } catch {
        log.warning("unable to run \(option): \(error.description)")
    }
}

/// The variables that the command gets.
private func variables(_ finished: Finished, _ request: VerbRequest) -> [(ByteString, ByteString)] {
    var code = ByteString()
    var signal = ByteString()
    switch finished.ending {
    case .exited(let number): code = ByteString(decimal: number)
    case .killed(let number): signal = signalName(number)
    }
    return [
        ("APP", request.app ?? ""), ("GENERATION", request.generation ?? ""),
        ("COPY", ByteString(decimal: request.copy ?? 0)),
        ("PID", finished.pid.map { ByteString(decimal: $0) } ?? ""),
        ("KIND", finished.ending.kind), ("CODE", code), ("SIGNAL", signal),
        ("CRASHES", ByteString(decimal: finished.crashes?.count ?? 0)),
        ("NEXT", finished.isDown ? "down" : "restart"), ("REASON", sentence(finished, request)),
    ]
}

/// `copy 0 of web blue: exited with 7, 3 crashes in a row; it is started again after 4s`
private func sentence(_ finished: Finished, _ request: VerbRequest) -> ByteString {
    var text: ByteString = "copy \(request.copy ?? 0) of \(request.app ?? "") \(request.generation ?? ""): "
    text.append(finished.reason.description)
    if let crashes = finished.crashes, crashes.count > 1 { text.append(", \(crashes.count) crashes in a row") }
    if finished.isOver {
        text.append("; its generation is over, and it stays down")
    } else if finished.isDown {
        text.append("; it stays down")
    } else {
        text.append("; it is started again")
        if finished.pause.count > 0 { text.append(" after \(finished.pause.description)") }
    }
    return text
}
