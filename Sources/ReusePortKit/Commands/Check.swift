/// `check`: returns if the generation is live and a copy of it listens; otherwise fails with its state.
func check(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    for (name, state) in try knownApps(request, directory) {
        let live = state.app.live
        guard let label = request.generation ?? live?.label else {
            throw Failure(.negative, "check", "app \(name)", "no generation of it is live")
        }
        if let live, live.label == label, try state.serving(live.id) > 0 { return }
        let found = state.app.generations.last { $0.label == label }
        throw Failure(
            .negative, "check", "generation \(label) of app \(name)",
            found.map { $0.state == .live ? "none of its copies listens" : "it is \($0.state.name)" } ?? "there is none"
        )
    }
}
