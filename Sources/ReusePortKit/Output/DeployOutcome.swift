/// What is said of a deploy that went well, whoever started the copies.
func success(_ label: ByteString, _ request: AppRequest, copies: Int) -> ByteString {
    let count: ByteString = copies == 1 ? "1 copy" : "\(copies) copies"
    return request.isSuspended
        ? "generation \(label) has taken over with \(count), suspended until resume"
        : "generation \(label) serves with \(count)"
}

/// That it has failed; `served` is the generation that is live instead.
func notDeployed(_ label: ByteString, _ request: AppRequest, _ why: ByteString, served: ByteString?) -> Failure {
    Failure(
        .negative, "deploy", "generation \(label) of app \(request.name)", why,
        remedy: served.map { "generation \($0) serves on" })
}

func interruption(_ signal: Int32) -> ByteString { "it was interrupted by \(signalName(signal))" }

func tooFew(_ present: Int, of wanted: Int) -> ByteString { "only \(present) of \(wanted) copies are there" }
