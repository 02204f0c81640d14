import CLinux

/// Carries out a verb. Its answer goes to standard output.
func runVerb(_ request: VerbRequest, _ line: HistoryLine) throws(Failure) {
    // These two are about the state directory alone.
    if request.verb == .boot { return try boot(request) }
    if request.verb == .disable { return try disable(request) }
    let directory: ByteString
    if let given = request.runDirectory { directory = given } else { directory = try defaultRunDirectory() }
    switch request.verb {
    // Not `finish`: crashes would fill the history.
    case .retire, .terminate, .scale, .restart, .suspend, .resume, .rollback:
        line.begin(request.app ?? "", in: directory)
    default: break
    }
    switch request.verb {
    case .list: try list(request, directory)
    case .count: try count(request, directory)
    case .state: try showState(request, directory)
    case .wait: try wait(request, directory)
    case .check: try check(request, directory)
    case .next: try next(request, directory)
    case .logs: try logs(request, directory)
    case .history: try history(request, directory)
    case .forget: try forget(request, directory)
    case .retire, .terminate: try endGenerations(request, directory)
    case .rollback: try rollback(request, directory)
    case .scale: try scale(request, directory)
    case .restart: try restart(request, directory)
    case .suspend: try suspend(request, directory)
    case .resume: try resume(request, directory)
    case .finish: try finish(request, directory)
    case .enable: try enable(request, directory)
    case .export: try export(request, directory)
    case .deploy, .boot, .disable: break
    }
}
