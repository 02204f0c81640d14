/// `next`: prints the label after that of the live generation, in a list that begins again; the first if none of them is
/// live.
func next(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let registry = try Registry.open(request.app ?? "", in: directory, create: false)
    let live = registry?.settled().app.live?.label
    let labels = request.labels
    let index = labels.firstIndex { $0 == live } ?? labels.count - 1
    try write("\(labels[(index + 1) % labels.count])\n")
}
