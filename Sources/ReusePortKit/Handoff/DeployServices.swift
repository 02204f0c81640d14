import CLinux

/// Has a supervisor start copies, waits until they have taken over, and fails with nothing left of them.
///
/// The copies hand over by their own helpers, as those of hand-written services do, and when they are started again.
/// If this is killed, the services that it leaves take over, or fail, by themselves.
///
/// `holdsTurn`: the caller has `deploy.lock`.
func deployServices(
    _ deploy: PreparedDeploy, on target: SupervisionTarget, holdsTurn: Bool, _ report: Reporter
) throws(Failure) {
    let request = deploy.request
    let registry = try openRegistry(of: request)
    // One deploy at a time: until its copies come, nothing in the registry speaks of its generation.
    let turn = holdsTurn ? nil : try registry.lock(.deploy, until: Deadline(after: request.lockTimeout))
    try removeAbandonedServices(of: request.name, on: target, registry)
    if request.joins == nil { try awaitStarting(registry, until: Deadline(after: request.lockTimeout)) }
    let interruptions = try step("wait for", "signals", remedy: descriptorRemedy) { () throws(Errno) in
        try Interruptions()
    }
    registry.removeLaunchFailures()
    let deployment = deploy.deployment
    if target != .systemd {
        let service = Service(
            app: request.name, label: "", copy: 0, command: [], workingDirectory: deployment.directory)
        service.setLogs(deploy.options, deployment)
        deployment.logFolder = try logFolder(of: service)
    }
    let expected = try announce(deploy, registry)
    report(.registered(label: expected.label, copies: deploy.numbers))
    let copies = SupervisedCopies(
        request: request, label: expected.label, options: deploy.options, target: target,
        deployment: deploy.deployment)
    let watch = ServiceWatch(deploy, expected: expected, past: registry.loadCopies().map { $0.process }, report)
    var services: [Service] = []
    var late: HandoffFailure?
    do throws(Failure) {
        try start(copies, deploy.numbers, &services, registry, report)
        do throws(HandoffFailure) {
            try watch.run(registry, interruptions)
        } catch {
            late = error
            guard try recordFailure(of: copies, error.outcomes[0], registry) else { throw error.failure() }
            // It took over in that moment, so that its predecessor is being stopped.
            do throws(HandoffFailure) {
                try watch.run(registry, interruptions)
            } catch {
                services = []
                throw error.failure()
            }
        }
    } catch {
        if let live = request.joins {
            // Those that serve already stay.
            let serving = AppState.reconciled(registry).copies(of: live).filter { $0.state == .live }
            services.removeAll { service in serving.contains { $0.copy == service.copy } }
        }
        // The rollback ends its copies, after they have accepted the connections that wait.
        if watch.hasTakenOver { services = [] }
        if request.joins == nil {
            // Its id is free again if no copy has come so far.
            registry.remove([expected], but: AppState.reconciled(registry).app.generations)
        }
        let output = withdraw(services, from: target, showing: { watch.concerns($0) }, report)
        registry.removeLaunchFailures()
        if let late, let hint = startHint(from: output, deploy.plan) { throw late.failure(hint.description) }
        throw error
    }
    registry.removeLaunchFailures()
    turn.release()
    report(
        .served(
            HandoffResult(
                label: expected.label, copies: request.copies, joined: false, isSuspended: request.isSuspended)))
}

/// Waits until no generation is on its way: what is started meanwhile would wait as well, and nobody could say why.
@inline(never)
func awaitStarting(_ registry: Registry, until deadline: Deadline) throws(Failure) {
    while let starting = AppState.reconciled(registry).app.starting {
        if deadline.hasPassed { throw isTakingOver(starting.label, registry.app) }
        awaitChange(of: registry, until: deadline) { registry.loadApp()?.starting == nil }
    }
}

/// Decides the generation's label, and records how it is deployed and whether it is suspended: services that are
/// written take over even if the command has been killed.
private func announce(_ deploy: PreparedDeploy, _ registry: Registry) throws(Failure) -> Deployment {
    let request = deploy.request
    let lock = try registry.lock(until: Deadline(after: request.lockTimeout))
    let state = AppState.reconciled(registry)
    let label = request.generation ?? state.unusedNumber()
    if request.joins == nil {
        if state.app.generations.contains(where: { $0.label == label && ($0.state == .live || $0.state == .starting) })
        {
            throw Failure(
                .usage, "deploy", "generation \(label)", "it is there already", remedy: "choose another --generation")
        }
        state.app.suspending = request.isSuspended ? label : nil
    }
    // The generation is likely to get this id, since only a copy that registers meanwhile could take it.
    let expected = deploy.deployment
    (expected.generation, expected.label) = (state.app.lastID + 1, label)
    try registry.store(unfinished: label)
    if request.joins == nil { try registry.store(expected) }
    try state.store(in: registry)
    lock.release(closing: ())
    return expected
}

/// Writes the services and has them started. `services` are those that have to be taken down after a failure.
private func start(
    _ copies: SupervisedCopies, _ numbers: [Int], _ services: inout [Service], _ registry: Registry,
    _ report: Reporter
) throws(Failure) {
    do throws(Failure) {
        for number in numbers {
            let service = try copies.service(number, registry)
            try writeService(service, on: copies.target)
            services.append(service)
        }
        report(.servicesWritten(for: copies.target.description))
        try startServices(services, on: copies.target)
    } catch {
        try recordFailure(of: copies, .failed(copy: nil, EndReason(error)), registry)
        throw error
    }
}

/// Records that a generation has failed, if its copies have not done so themselves. Their supervisors then keep them
/// down. Returns whether it is live.
@discardableResult
private func recordFailure(
    of copies: SupervisedCopies, _ outcome: GenerationOutcome, _ registry: Registry
) throws(Failure) -> Bool {
    var isLive = false
    try registry.change { state in
        state.app.suspending = nil
        if copies.request.joins != nil { return }
        isLive = state.app.live?.label == copies.label
        if let starting = state.app.starting, starting.label == copies.label {
            state.close(starting.id, .failed, outcome)
        }
    }
    return isLive
}

/// Takes services down, and shows and returns what the first program that has failed has written.
private func withdraw(
    _ services: [Service], from target: SupervisionTarget, showing concerns: (Int) -> Bool, _ report: Reporter
) -> ByteString {
    do throws(Failure) {
        if !services.isEmpty { try takeDown(services, on: target) }
    } catch {
        // The command fails for another reason, which the user wants to know.
        report(.problem(error))
    }
    // Once the services are down, their loggers have written all of it.
    for index in services.indices where concerns(index) {
        let service = services[index]
        let lines = serviceOutput(service, on: target)
        // Where only the launcher has written, its copy came too late for a generation that another one had failed.
        if !lines.contains(where: { !$0.hasPrefix("reuseport-exec: ") }) { continue }
        let text = joined(lines, by: "\n")
        report(.output(of: service.name, text, isShared: false))
        return text
    }
    return ""
}
