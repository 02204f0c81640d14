import CLinux

/// Has a supervisor start copies, waits until they have taken over, and fails with nothing left of them.
///
/// The copies hand over by their own helpers, as those of hand-written services do: also when they are started again.
/// Killed at any moment this leaves services that take over, or fail, by themselves.
///
/// `holdsTurn`: whether the caller has `deploy.lock`.
func deployServices(
    _ request: AppRequest, _ numbers: [Int], _ options: DeployOptions, on target: SupervisionTarget,
    _ deployment: Deployment, holdsTurn: Bool = false, _ report: Reporter
) throws(Failure) {
    let registry = try openRegistry(of: request)
    // One at a time: until its copies come, nothing in the registry speaks of a generation that is about to be.
    let turn = holdsTurn ? nil : try registry.lock(.deploy, until: Deadline(after: request.lockTimeout))
    try removeAbandonedServices(of: request.name, on: target, registry)
    if request.joins == nil { try awaitStarting(registry, until: Deadline(after: request.lockTimeout)) }
    let interruptions = try step("wait for", "signals", remedy: descriptorRemedy) { () throws(Errno) in
        try Interruptions()
    }
    registry.removeLaunchFailures()
    let (expected, sequence) = try prepare(request, deployment, registry)
    let label = expected.label
    report(.registered(label: label, copies: numbers))
    var watch = ServiceWatch(
        request, label, numbers, deployment, past: registry.loadCopies().map { $0.process }, sequence: sequence, report)
    var services: [Service] = []
    do throws(Failure) {
        do throws(Failure) {
            for number in numbers {
                let service = try describeService(request, label, number, options, on: target, deployment, registry)
                try writeService(service, on: target)
                services.append(service)
            }
            report(.servicesWritten(for: target.description))
            try startServices(services, on: target)
        } catch {
            if !services.isEmpty { report(.problem(error)) }
            try fail(label, registry, joins: request.joins != nil, MemberFailure(error).reason)
            throw error
        }
        do throws(HandoffFailure) {
            try watch.run(registry, interruptions)
        } catch {
            report(.problem(error.failure))
            try fail(label, registry, joins: request.joins != nil, error.reasons.first?.reason ?? .unknown)
            throw error.failure
        }
        registry.removeLaunchFailures()
    } catch {
        if request.joins == nil {
            // The number is still to be had, if no copy has come so far.
            registry.remove([expected], but: AppState.reconciled(registry).app.generations)
        }
        do throws(Failure) {
            if !services.isEmpty { try takeDown(services, on: target) }
        } catch {
            // The user wants to know why the deploy failed, not this.
            report(.problem(error))
        }
        // Only now have their loggers surely written all of it.
        var shown = 0
        for (index, service) in services.enumerated() where shown < 3 && watch.concerns(index) {
            report(.output(of: service.name, joined(serviceOutput(service, on: target), by: "\n")))
            shown += 1
        }
        registry.removeLaunchFailures()
        throw error
    }
    if let turn { turn.release(closing: ()) }
    report(
        .served(
            HandoffResult(
                label: label, copies: request.copies, joined: false, isSuspended: request.isSuspended)))
}

/// Waits until no generation is on its way: what is started meanwhile would wait as well, and nobody could say why.
func awaitStarting(_ registry: borrowing Registry, until deadline: Deadline) throws(Failure) {
    while let starting = AppState.reconciled(registry).app.starting {
        if deadline.hasPassed { throw isTakingOver(starting.label, registry.app) }
        awaitChange(of: registry, until: deadline) { registry.loadApp()?.starting == nil }
    }
}

/// Decides the generation's label, and notes whether it is to stand still when it takes over, and with what it is
/// deployed: services that are written take over, also without us. Answers the number of the youngest generation there
/// is as well.
private func prepare(
    _ request: AppRequest, _ deployment: Deployment, _ registry: borrowing Registry
) throws(Failure) -> (expected: Deployment, sequence: UInt64) {
    let lock = try registry.lock(until: Deadline(after: request.lockTimeout))
    var state = AppState.reconciled(registry)
    let label = request.generation ?? state.unusedNumber()
    if request.joins == nil {
        if state.app.generations.contains(where: { $0.label == label && ($0.state == .live || $0.state == .starting) })
        {
            throw Failure(
                .usage, "deploy", "generation \(label)", "it is there already", remedy: "choose another --generation")
        }
        state.app.suspending = request.isSuspended ? label : nil
    }
    // The number is likely to be theirs: nobody else can have taken it, or its record, who has not had the lock since.
    var expected = deployment
    (expected.generation, expected.label) = (state.app.lastID + 1, label)
    try registry.store(unfinished: label)
    if request.joins == nil { try registry.store(expected) }
    try state.store(in: registry)
    lock.release(closing: ())
    return (expected, state.app.lastID)
}

/// What a service directory needs to know of a copy.
private func describeService(
    _ request: AppRequest, _ label: ByteString, _ number: Int, _ options: DeployOptions, on target: SupervisionTarget,
    _ deployment: Deployment, _ registry: borrowing Registry
) throws(Failure) -> Service {
    let launcher = try step("find", "this program") { () throws(Errno) in
        try readLink("exe", in: try open("/proc/self", O_RDONLY | O_DIRECTORY))
    }
    var service = Service(
        app: request.name, label: label, copy: number, command: [], workingDirectory: deployment.directory)
    service.runDirectory = request.runDirectory
    if case .file(let path)? = options.log {
        service.logDirectory = resolve(path, against: deployment.directory)
    }
    service.permanent = options.permanent
    service.onExit = options.onExit
    (service.stopSignal, service.stopTimeout) = (request.stopSignal, request.stopTimeout)
    service.readyTimeout = request.readyTimeout

    if target == .systemd {
        (service.memoryHigh, service.memoryMax) = (request.memoryHigh, request.memoryMax)
        if request.appMemoryMax != nil {
            throw .usage(
                "deploy", "app \(request.name) on systemd", "a unit has no limit for all copies",
                remedy: "put the units into a slice with MemoryMax=")
        }
    }
    var words: [ByteString] = [launcher, "--app", request.name, "--generation", label]
    words += ["--copies", ByteString(decimal: request.copies), "--copy", ByteString(decimal: number)]
    for pair in deployment.settings {
        switch pair.name {
        case "--app", "--copies", "--log", "--on", "--permanent", "--on-exit": continue
        case "--memory-high" where target == .systemd, "--memory-max" where target == .systemd: continue
        case "--config":
            service.configuration = deployment.configuration
            let path: ByteString
            if let folder = target.directory {
                path = "\(folder)/\(service.name)/config"
            } else {
                // The unit has them.
                let lines = (service.configuration ?? "").split(on: UInt8(ascii: "\n")).filter {
                    !$0.trimmed.hasPrefix("memory-")
                }
                path = try registry.store(configuration: joined(lines, by: "\n"), of: label)
            }
            words += ["--config", path]
        default:
            words.append(pair.name)
            if !pair.value.isEmpty { words.append(pair.value) }
        }
    }
    service.command = words + (deployment.command.isEmpty ? [] : ["--"] + deployment.command)
    return service
}

/// Services that are started again, all of them after a reboot, are to know of how many copies they are.
func updateServices(
    _ request: AppRequest, _ options: DeployOptions, _ deployment: Deployment, _ label: ByteString, copies: Int,
    _ registry: borrowing Registry
) throws(Failure) {
    guard let target = options.supervision, !target.hasGone else { return }
    var request = request
    request.copies = copies
    for number in 0..<copies {
        try updateService(
            try describeService(request, label, number, options, on: target, deployment, registry), on: target)
    }
    if target == .systemd { try reloadUnits() }
}

/// Writes down that a generation has failed, if its copies have not done so themselves: their supervisors keep them
/// down.
private func fail(
    _ label: ByteString, _ registry: borrowing Registry, joins: Bool, _ why: EndReason
) throws(Failure) {
    try registry.change { state in
        state.app.suspending = nil
        if !joins, let starting = state.app.starting, starting.label == label {
            state.close(starting.id, .failed, .failed(copy: nil, why))
        }
    }
}
