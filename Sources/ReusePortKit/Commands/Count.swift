/// `count`: prints how many copies get connections and listen, as a line with a number, or as JSON.
func count(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    var count = 0
    for (_, state) in try knownApps(request, directory) {
        if let live = state.app.live { count += try state.serving(live.id) }
    }
    try write(request.isJSON ? "{\"count\":\(count)}\n" : "\(count)\n")
}
