/// `check`: returns if the generation is live and a copy of it runs; otherwise fails with its state.
func check(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    for (name, state) in try knownApps(request, directory) {
        guard let label = request.generation else {
            if let live = state.app.live, !state.running(live.id).isEmpty { return }
            throw Failure(.negative, "check", "app \(name)", "no generation of it is live")
        }
        if let live = state.app.live, live.label == label, !state.running(live.id).isEmpty { return }
        let found = state.app.generations.last { $0.label == label }
        throw Failure(
            .negative, "check", "generation \(label) of app \(name)",
            found.map { $0.state == .live ? "none of its copies runs" : "it is \($0.state.name)" } ?? "there is none")
    }
}
