import CLinux

/// Starts copies of one generation, hands over to them, and returns when they serve and the old generation is retired.
///
/// Copies join the live generation if it has the label that is asked for. The command can be killed at any moment.
/// Before the barrier opens, the copies end with it; afterwards the registry names them, and the next invocation ends
/// them; from the cutover on they serve.
func deployCopies(_ deploy: PreparedDeploy, _ report: Reporter) throws(Failure) {
    let (plan, request) = (deploy.plan, deploy.request)
    if let words = rehearse(plan) {
        throw Failure(.negative, "start", "copies of app \(request.name)", words)
    }
    try openStandardDescriptors()
    try checkKept(plan.keptDescriptors)
    // A lock of the caller's would be held by the copies' logger for as long as they live.
    try shutAll()
    let registry = try openRegistry(of: request)
    var leftovers = Leftovers()
    do throws(Failure) {
        let starter = try CopyStarter()
        let outputs = try Outputs(
            deploy.options.log, app: request.name, deploy.numbers, for: plan.identity.user)
        var prepared = OwnedArray<PreparedCopy>()
        for (index, number) in deploy.numbers.enumerated() {
            prepared.append(
                try starter.prepare(number, plan, request, in: registry, output: outputs[index], &leftovers))
        }
        let coordinator = try register(prepared, plan, request, in: registry, by: .command, report)
        if coordinator.generation.state == .starting {
            try registry.store(deploy.deployment.of(coordinator.generation))
        }
        outputs.mark(
            request.name, coordinator.generation.label, isNew: coordinator.generation.state == .starting)
        starter.barrier.open()
        // The registry knows the copies' paths from here on.
        leftovers = Leftovers()
        do throws(HandoffFailure) {
            try coordinator.run()
        } catch {
            // It had served, and what it has written tells nothing.
            if error.outcomes.first?.hasServed == true { throw error.failure() }
            var failed = 0
            if case .failed(let copy?, _)? = error.outcomes.first {
                failed = deploy.numbers.firstIndex(of: copy) ?? 0
            }
            let live = AppState.reconciled(registry).app.live.flatMap { registry.loadDeployment(of: $0) }
            let isShared = live?.output == deploy.deployment.output
            let text = outputs.show(failed, isShared: isShared, report)
            var hint = coordinator.hasHint ? nil : startHint(from: text, plan)
            if case .failed(_, let reason)? = error.outcomes.first, reason.cause == .background, plan.isNginx {
                hint = .daemon
            }
            throw error.failure(hint?.description ?? "")
        }
    } catch {
        leftovers.remove()
        throw error
    }
}
