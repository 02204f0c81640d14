import CLinux

/// `wait`: returns when a generation has taken over, and fails with its reason if it has failed.
func wait(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let app = request.app ?? ""
    let deadline = request.timeout.map { Deadline(after: $0) }
    var seen: ByteString = "it is not registered"
    // Once found, the generation is known by its id, whatever becomes of its process.
    var id: UInt64?
    var hasEnded = false
    var isAwaited = false
    while true {
        if let registry = try Registry.open(app, in: directory, create: false) {
            let changes = try step("watch", registry.path) { () throws(Errno) in try FileWatch(in: registry) }
            let state = AppState.reconciled(registry)
            id = id ?? wanted(request, state)
            let known = id.flatMap { state.app.generation($0) }
            if let id, let generation = known {
                seen = "it is \(generation.state.name)"
                switch generation.state {
                case .live:
                    // A copy that joins has to serve itself; otherwise one that serves is enough.
                    let serving = state.running(id).filter { $0.state == .live }
                    if serving.contains(where: { request.pid == nil || $0.process.pid == request.pid }) { return }
                    if hasEnded { throw gone(request, state) }
                case .failed: throw failed(app, generation, generation.outcome.description)
                // It took over, and another one has taken over from it.
                case .retiring, .retired, .ended: return
                case .starting: break
                }
            }
            if id != nil, known == nil {
                throw Failure(.negative, "wait for", "app \(app)", "its generation was removed from the registry")
            }
            if id == nil && hasEnded { throw gone(request, state) }
            if !hasEnded { hasEnded = isGone(request) }
            // Not without limit: the end of a process changes no file.
            changes.wait(until: nearest(deadline, Milliseconds(id == nil ? 20 : 500)))
        } else {
            if hasEnded { throw gone(request, nil) }
            hasEnded = isGone(request)
            if !isAwaited, deadline == nil { request.say(.awaited, about: app) }
            isAwaited = true
            // There is no folder to watch yet.
            _ = poll(nil, 0, nearest(deadline, Milliseconds(20)).pollTimeout)
        }
        if let deadline, deadline.hasPassed {
            throw Failure(
                .negative, "wait for", "app \(app)", "not live after \(request.timeout?.description ?? ""): \(seen)")
        }
    }
}

private func nearest(_ deadline: Deadline?, _ pause: Milliseconds) -> Deadline {
    let soon = Deadline(after: pause)
    return deadline.map { min($0, soon) } ?? soon
}

/// Finds the generation of the process or label that is asked for; without either, the youngest.
private func wanted(_ request: VerbRequest, _ state: AppState) -> UInt64? {
    if let pid = request.pid {
        // A record of an earlier process with this pid does not count.
        let now = try? ProcessIdentity(of: pid)
        return state.copies.last { $0.process.pid == pid && (now == nil || $0.process == now) }?.generation
    }
    if let label = request.generation { return state.app.generations.last { $0.label == label }?.id }
    return state.app.generations.last?.id
}

/// Whether the process that is expected to register has ended.
private func isGone(_ request: VerbRequest) -> Bool {
    guard let pid = request.pid else { return false }
    return (try? ProcessIdentity(of: pid))?.isAlive() != true
}

@inline(never)
private func gone(_ request: VerbRequest, _ state: AppState?) -> Failure {
    let reason = state?.copies.last { $0.process.pid == request.pid && $0.reason != nil }?.reason?.description
    return Failure(
        .negative, "wait for", "pid \(request.pid ?? 0)", reason ?? "it has ended before it was registered",
        remedy: "see what it has written to standard error")
}

private func failed(_ app: ByteString, _ generation: GenerationRecord, _ reason: ByteString) -> Failure {
    Failure(.negative, "wait for", "generation \(generation.label) of app \(app)", reason)
}
