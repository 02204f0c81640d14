import CLinux

/// Carries out a verb. Its answer goes to standard output.
func runVerb(_ request: VerbRequest) throws(Failure) {
    let directory: ByteString
    if let given = request.runDirectory { directory = given } else { directory = try defaultRunDirectory() }
    switch request.verb {
    case .list: try list(request, directory)
    case .count: try count(request, directory)
    case .state: try showState(request, directory)
    case .wait: try wait(request, directory)
    case .check: try check(request, directory)
    case .retire, .terminate: try endGenerations(request, directory)
    case .scale: try scale(request, directory)
    case .restart: try restart(request, directory)
    case .suspend: try suspend(request, directory)
    case .resume: try resume(request, directory)
    case .finish: try finish(request, directory)
    case .deploy: break
    }
}
