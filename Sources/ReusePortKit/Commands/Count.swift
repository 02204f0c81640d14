/// `count`: prints how many copies get connections, as a line with a number, or as JSON.
func count(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let count = try knownApps(request, directory).reduce(0) { $0 + serving($1.state) }
    try write(request.isJSON ? "{\"count\":\(count)}\n" : "\(count)\n")
}

private func serving(_ state: AppState) -> Int {
    guard let live = state.app.live else { return 0 }
    return state.running(live.id).count { $0.state == .live }
}
