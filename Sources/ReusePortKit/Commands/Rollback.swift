/// `rollback`: gives the connections back to the generation before, if it still listens because of `--watch`. Otherwise
/// deploys a generation again: the one that is named, or the last before the live one that has not crashed. It gets its
/// command, options, environment and directory, and as many copies as there are now.
func rollback(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let registry = try openApp(request, directory)
    let state = registry.settled()
    let generation = try state.past(request.generation, registry.app)
    if let live = state.app.live, try state.canComeBack(generation) {
        return try flip(from: live, to: generation, in: registry, request)
    }
    guard let deployment = registry.loadDeployment(of: generation) else {
        throw Failure(
            .negative, "roll back", "app \(registry.app)", "generation \(generation.label) was not started by deploy",
            remedy: "start it as it was started then")
    }
    let copies = request.copies ?? state.app.live?.copies ?? generation.copies
    let place = deployment.place
    let live = state.app.live.flatMap { registry.loadDeployment(of: $0) }
    if live?.starts(theSameAs: deployment) ?? false {
        throw Failure(
            .negative, "roll back", "app \(registry.app)",
            "generation \(generation.label) was started by the same command in \(place), and its code is not kept",
            remedy: "put that back there, then reuseport-exec migrate \(registry.app)")
    }
    request.say(.goesBack(to: generation.label, in: place, copies: copies), about: registry.app)
    var again = request.again(
        with: [Setting(.copies, ByteString(decimal: copies))], directory)
    again.base = deployment.copied
    if let name = deployment.placeName { request.say(.keepsName(name, of: place), about: registry.app) }
    try runDeploy(again, nil)
}

/// Gives the connections back to a generation that still listens, and ends the live one.
private func flip(
    from live: GenerationRecord, to old: GenerationRecord, in registry: Registry, _ request: VerbRequest
) throws(Failure) {
    let view = HandoffView(request, live, registry)
    let outcome = DeployReport(isJSON: request.isJSON)
    view.listener = outcome
    let report = view.reporter
    let why = GenerationOutcome.failed(copy: nil, EndReason(.handoff, "it was rolled back"))
    var failure: Failure?
    do throws(Failure) {
        try directBack(to: old.id, from: live.id, why, in: registry)
        report(.cameBack(to: old.label))
        try endCopies(after: why, of: live.id, settle: nil, drain: Milliseconds(0), in: registry, report)
        report(.goesOn(old.label))
    } catch {
        failure = error
    }
    outcome.end(failure)
    if let failure { throw failure }
}

extension Deployment {
    /// Whether the same command is started in the same directory, in whatever number.
    fileprivate func starts(theSameAs other: Deployment) -> Bool {
        place == other.place && command == other.command && settingsOfEach == other.settingsOfEach
            && environment == other.environment
    }

    /// The settings that each copy has; a label, a number or a time of the handoff tells nothing of what is started.
    private var settingsOfEach: [Pair] {
        let others: [Option.Key] = [.copies, .generation, .watch, .watchCheck, .readyTimeout, .drain, .settle]
        return settings.filter { one in Option.named(one.name).map { !others.contains($0.key) } ?? true }
    }
}

extension AppState {
    /// Finds the generation to go back to: the one with this label, else the last before the live one that has served and
    /// not crashed.
    fileprivate func past(_ label: ByteString?, _ name: ByteString) throws(Failure) -> GenerationRecord {
        let others = app.generations.reversed().filter { $0.id != app.live?.id && $0.hasServed }
        let found = others.first { label == nil ? !hasCrashed($0) : $0.label == label }
        if let found { return found }
        let known = joined(others.map { $0.label }, by: ", ")
        throw Failure(
            .negative, "roll back", "app \(name)",
            label.map { "no generation \($0) is known that has served before" }
                ?? (others.isEmpty
                    ? "no other generation of it has served" : "its copies have crashed in generation \(known)"),
            remedy: others.isEmpty
                ? nil : label == nil ? "--generation \(others[0].label) starts it all the same" : "there is \(known)")
    }

    /// Whether all copies of a generation have ended without being told to.
    private func hasCrashed(_ generation: GenerationRecord) -> Bool {
        let copies = copies(of: generation.id)
        return !copies.isEmpty && copies.allSatisfy { $0.state == .ended && $0.reason?.isCrash == true }
    }
}
