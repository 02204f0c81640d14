/// `rollback`: gives the connections back to the generation before, if it still listens because of `--watch`. Otherwise
/// deploys the generation before the live one again, or the one that is named: with its command, options,
/// environment and directory, and as many copies as there are now.
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
    request.say(.goesBack(to: generation.label, in: deployment.directory, copies: copies), about: registry.app)
    var again = request.again(
        with: [Setting(.copies, ByteString(decimal: copies))], directory)
    again.base = deployment.copied
    if let live = state.app.live.flatMap({ registry.loadDeployment(of: $0) }), live.starts(theSameAs: deployment) {
        request.say(.goesNowhere(deployment.directory), about: registry.app)
    } else if let name = deployment.named, name != deployment.directory {
        request.say(.keepsName(name, of: deployment.directory), about: registry.app)
    }
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
    } catch {
        failure = error
    }
    outcome.end(failure)
    if let failure { throw failure }
}

extension Deployment {
    /// Whether the same command is started in the same directory.
    fileprivate func starts(theSameAs other: Deployment) -> Bool {
        directory == other.directory && command == other.command && settings == other.settings
            && environment == other.environment
    }
}

extension AppState {
    /// Finds the generation to go back to: the one with this label, else the last that has served before the live one.
    fileprivate func past(_ label: ByteString?, _ name: ByteString) throws(Failure) -> GenerationRecord {
        let others = app.generations.reversed().filter { $0.id != app.live?.id && $0.hasServed }
        if let found = others.first(where: { label == nil || $0.label == label }) { return found }
        let known = joined(others.map { $0.label }, by: ", ")
        throw Failure(
            .negative, "roll back", "app \(name)",
            label.map { "no generation \($0) is known that has served before" }
                ?? "no other generation of it has served",
            remedy: others.isEmpty ? nil : "there is \(known)")
    }
}
