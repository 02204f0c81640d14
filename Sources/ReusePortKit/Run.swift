import CLinux

/// The whole program: reads its arguments, and does what they say. Returns when there is nothing to exec.
@export(interface)
public func run(_ arguments: [ByteString]) throws(Failure) {
    if arguments.isEmpty {
        // Whoever calls it so looks for help; the failure that follows is the last line.
        clinux_ignore_signal(SIGPIPE)
        try? writeAll(help(nil), to: 2)
    }
    let invocation = try parseArguments(arguments)
    let line = HistoryLine()
    do throws(Failure) { try carryOut(invocation, line) } catch {
        line.end(error)
        throw error
    }
    line.end(nil)
}

private func carryOut(_ invocation: Invocation, _ line: HistoryLine) throws(Failure) {
    switch invocation {
    case .help(let topic, let verb):
        try write(help(topic, verb))
    case .version:
        try write("reuseport-exec \(version) (\(build))\n")
    case .verb(let request):
        try runVerb(request, line)
    case .deploy(let request):
        try runDeploy(request, line)
    case .exec(let options):
        try launch(options)
    }
}
