/// `state`: prints everything that is known of apps, for people or as JSON.
func showState(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let pictures = try knownApps(request, directory).map { AppPicture($0.name, $0.state) }
    let screen = Screen(of: 1)
    try write(
        request.isJSON
            ? "\(array(pictures.map { $0.asJSON() }))\n"
            : joined(pictures.map { $0.text(on: screen) }, by: "\n"))
}
