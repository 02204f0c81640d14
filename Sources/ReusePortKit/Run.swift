import CLinux

/// The whole program: reads its arguments, and does what they say. Returns when there is nothing to exec.
@export(interface)
public func run(_ arguments: [ByteString]) throws(Failure) {
    switch try parseArguments(arguments) {
    case .help(let topic):
        try write(help(topic))
    case .version:
        try write("reuseport-exec \(version) (\(build))\n")
    case .verb(let request):
        try runVerb(request)
    case .deploy(let request):
        try runDeploy(request)
    case .exec(let options):
        try launch(options)
    }
}

/// write(2) to standard output, all of it.
func write(_ text: ByteString) throws(Failure) {
    try step("write to", "standard output") { () throws(Errno) in try writeAll(text, to: 1) }
}
