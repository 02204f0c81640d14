/// `rollback`: deploys the generation before the live one again, or the one that is named: with its command, options,
/// environment and directory, and as many copies as there are now.
func rollback(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let registry = try openApp(request, directory)
    let state = registry.settled()
    let generation = try state.past(request.generation, registry.app)
    guard let deployment = registry.loadDeployment(of: generation) else {
        throw Failure(
            .negative, "roll back", "app \(registry.app)", "generation \(generation.label) was not started by deploy",
            remedy: "start it as it was started then")
    }
    let copies = state.app.live?.copies ?? generation.copies
    request.say(.goesBack(to: generation.label, in: deployment.directory, copies: copies), about: registry.app)
    var again = request.again(
        with: [Setting(.copies, ByteString(decimal: copies))], directory)
    again.base = deployment.copied
    // The name of the directory may lead to another release by now.
    again.base?.named = nil
    try runDeploy(again, nil)
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
