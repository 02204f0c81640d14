import CLinux

/// Waits until a generation has taken over (returns), or has failed (throws, with its reason).
func awaitGeneration(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let app = request.app ?? ""
    let deadline = request.timeout.map { Deadline(after: $0) }
    var seen: ByteString = "it is not registered"
    // By its number it stays the same one, whatever becomes of its process.
    var order: UInt64?
    var hasEnded = false
    while true {
        if let registry = try Registry.open(app, in: directory, create: false) {
            let changes = try step("watch", registry.path) { () throws(Errno) in try Changes(in: registry) }
            let state = AppState.mended(registry)
            order = order ?? wanted(request, state)
            if let order, let generation = state.app.generation(order) {
                seen = "it is \(generation.state.name)"
                switch generation.state {
                case .live: return
                case .failed: throw failed(app, generation, generation.reason)
                case .retiring, .retired, .ended:
                    // It was live in between, unless it was ended before that.
                    throw failed(app, generation, "it has \(generation.state == .ended ? "ended" : "retired"): \(generation.reason)")
                case .starting: break
                }
            }
            if order == nil && hasEnded { throw gone(app, request) }
            if !hasEnded { hasEnded = isGone(request) }
            // A process may end, and nothing be written any more: so not for ever at once.
            changes.wait(until: nearest(deadline, Milliseconds(order == nil ? 20 : 500)))
        } else {
            if hasEnded { throw gone(app, request) }
            hasEnded = isGone(request)
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

/// The generation that is meant: of that process, of that label, or the youngest.
private func wanted(_ request: VerbRequest, _ state: AppState) -> UInt64? {
    if let pid = request.pid { return state.copies.last { $0.process.pid == pid }?.generation }
    if let label = request.generation { return state.app.generations.last { $0.label == label }?.order }
    return state.app.generations.last?.order
}

/// Whether the process that is to register has ended, or is somebody else by now.
private func isGone(_ request: VerbRequest) -> Bool {
    guard let pid = request.pid else { return false }
    guard let process = try? ProcessStatus(of: pid) else { return true }
    return process.hasEnded
}

private func gone(_ app: ByteString, _ request: VerbRequest) -> Failure {
    Failure(
        .negative, "wait for", "pid \(request.pid ?? 0)", "it has ended before it was registered in app \(app)",
        remedy: "see what it has written to standard error")
}

private func failed(_ app: ByteString, _ generation: GenerationRecord, _ reason: ByteString) -> Failure {
    Failure(.negative, "wait for", "generation \(generation.label) of app \(app)", reason)
}
