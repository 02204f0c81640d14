import CLinux

/// Starts copies of one generation, hands over to them, and returns when they serve and the old generation has gone.
///
/// One process for all of them, which does for each what its helper would: gate → start → ready → cutover → drain →
/// retire. It can be killed at any moment: before the copies are let through the gate nothing is left of them; then
/// they are in the registry, where the next invocation finds and ends them; from the cutover on they serve.
///
/// They join the live generation if `request.generation` is its label.
func deployCopies(
    _ plan: Plan, _ request: AppRequest, _ numbers: [Int], log destination: LogDestination?, _ deployment: Deployment
) throws(Failure) {
    try openStandardDescriptors()
    try checkKept(plan.keptDescriptors)
    // Not for the targets, nor for what is run meanwhile: a lock of the caller's would be held by a logger.
    try shutAll()
    let registry = try openRegistry(of: request)
    var leftovers = Leftovers()
    do throws(Failure) {
        let nursery = try Nursery()
        let outputs = try Outputs(destination, app: request.name, numbers)
        var started = OwnedArray<StartedCopy>()
        for (index, number) in numbers.enumerated() {
            var request = request
            request.copy = number
            started.append(try nursery.start(plan, request, outputs[index], &leftovers))
        }
        var isShared = false
        if case .inherited? = destination { isShared = true }
        let deploy = try enrol(&started, plan, registry, nursery.gate, deployment, showsOutput: isShared)
        // From here on the registry knows of them.
        leftovers = Leftovers()
        try deploy.run(outputs)
    } catch {
        leftovers.remove()
        throw error
    }
}

/// A copy that is registered, with its sockets.
struct Member: ~Copyable {
    let enrolment: Enrolment
    let sockets: OwnedArray<Placement>
}

/// Registers the copies, all in one turn, and lets them through the gate.
private func enrol(
    _ started: inout OwnedArray<StartedCopy>, _ plan: Plan, _ registry: borrowing Registry, _ gate: borrowing Gate,
    _ deployment: Deployment, showsOutput: Bool
) throws(Failure) -> Deploy {
    let request = started[0].request
    let listeners = started[0].listeners
    var everybodys: [CopyRecord.Listener] = []
    var cookies: [UInt64] = []
    var numbers: [Int] = []
    for index in 0..<started.count {
        everybodys += started[index].listeners
        cookies += started[index].listeners.map { $0.identity.cookie }
        numbers.append(started[index].request.copy)
    }
    var log = Log(descriptor: 2, verbosity: request.verbosity, subject: request.name)
    try refuseOtherApps(visible(everybodys), of: request.name, in: try runDirectory(of: request))
    var turn = try awaitTurn(registry, request, copies: numbers, listeners, ours: cookies, log)
    guard let generation = turn.state.app.generation(turn.generation) else {
        throw Failure("find", "generation", .noEntry)
    }
    log.subject = "\(request.name) \(generation.label)"
    log.display = Display(
        app: request.name, label: generation.label, copies: numbers, verbosity: request.verbosity,
        isShared: showsOutput)
    let helper = try step("find", "this process") { () throws(Errno) in try ProcessIdentity(of: getpid()) }

    let interruptions = try step("wait for", "signals", remedy: descriptorRemedy) { () throws(Errno) in
        try Interruptions()
    }
    var members = OwnedArray<Member>()
    var groups: [CopyGroup] = []
    do throws(Failure) {
        while started.count > 0 {
            let copy = started.remove(at: 0)
            turn.state.tellOfPredecessor(generation.order, copy.request.copy, log)
            let group = try turn.state.makeGroup(copy.request, generation.order, copy.process.identity, in: registry)
            if let group { groups.append(group) }
            var record = try turn.state.enter(
                generation.order, copy.process.identity, copy.request, plan, copy.sockets, copy.listeners, log,
                isFirst: members.count == 0)
            // While it lives, it is the one who waits for their readiness.
            record.helper = helper
            // Whoever supervises deploy does not supervise what it leaves behind.
            record.supervisor = nil
            record.group = group
            record.channel = try turn.state.channel(copy.channel, of: record, copy.request, plan)
            turn.state.replace(record)
            try step("watch", "pid \(record.process.pid)") { () throws(Errno) in try interruptions.watch(copy.process) }
            let enrolment = Enrolment(
                registry: try registry.duplicate(), process: copy.process, request: copy.request,
                generation: generation, record: record, channel: copy.channel, exec: copy.exec, log: log)
            members.append(Member(enrolment: enrolment, sockets: copy.sockets))
        }
        for index in 0..<members.count {
            try joinGroup(members[index].enrolment.record.group, members[index].enrolment.process.identity.pid)
        }
        try turn.state.store(in: registry)
    } catch {
        for group in groups { takeBack(group, in: registry) }
        throw error
    }
    if generation.state == .starting {
        var deployment = deployment
        (deployment.generation, deployment.label) = (generation.order, generation.label)
        try registry.store(deployment)
    }
    gate.open(for: members.count)
    return Deploy(members, generation, interruptions, log)
}
