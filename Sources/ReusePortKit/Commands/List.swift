/// `list`: prints a line for each generation, or JSON.
func list(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let apps = try knownApps(request, directory)
    try write(request.isJSON ? listAsJSON(apps) : list(apps, on: Screen(of: 1)))
}
