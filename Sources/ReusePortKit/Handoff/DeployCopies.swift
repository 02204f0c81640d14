import CLinux

/// Starts copies of one generation, hands over to them, and returns when they serve and the old generation is retired.
///
/// Copies join the live generation if `request.generation` is its label. The command can be killed at any moment. Before
/// the barrier opens, the copies end with it; afterwards the registry names them, and the next invocation ends them;
/// from the cutover on they serve.
func deployCopies(
    _ plan: Plan, _ request: AppRequest, _ numbers: [Int], log destination: LogDestination?,
    _ deployment: Deployment, _ report: Reporter
) throws(Failure) {
    try openStandardDescriptors()
    try checkKept(plan.keptDescriptors)
    // A lock of the caller's would be held by the copies' logger for as long as they live.
    try shutAll()
    let registry = try openRegistry(of: request)
    var leftovers = Leftovers()
    do throws(Failure) {
        let starter = try CopyStarter()
        let outputs = try Outputs(destination, app: request.name, numbers)
        var started = OwnedArray<StartedCopy>()
        for (index, number) in numbers.enumerated() {
            var request = request
            request.copy = number
            started.append(try starter.start(plan, request, output: outputs[index], &leftovers))
        }
        let coordinator = try register(started, plan, request, in: registry, .thisProcess, report)
        if coordinator.generation.state == .starting {
            try registry.store(deployment.of(coordinator.generation))
        }
        starter.barrier.open(for: numbers.count)
        // The registry knows the copies' paths from here on.
        leftovers = Leftovers()
        do throws(HandoffFailure) {
            try coordinator.run()
        } catch {
            outputs.show(report)
            throw error.failure
        }
    } catch {
        leftovers.remove()
        throw error
    }
}

extension Deployment {
    /// The same for a generation that has its number and label by now.
    func of(_ generation: GenerationRecord) -> Deployment {
        var deployment = self
        (deployment.generation, deployment.label) = (generation.id, generation.label)
        return deployment
    }
}
