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
