import CLinux

/// Has a supervisor start copies, waits until they have taken over, and fails with nothing left of them.
///
/// The copies hand over by their own helpers, as those of hand-written services do: also when they are started again.
/// Killed at any moment this leaves services that take over, or fail, by themselves.
///
/// `holdsTurn`: whether the caller has `deploy.lock`.
func deployServices(
    _ request: AppRequest, _ numbers: [Int], _ options: Options, on target: SupervisionTarget, _ deployment: Deployment,
    holdsTurn: Bool = false
) throws(Failure) {
    let registry = try openRegistry(of: request)
    // One at a time: until its copies come, nothing in the registry speaks of a generation that is about to be.
    let turn = holdsTurn ? nil : try registry.lock(deployLock, until: Deadline(after: request.lockTimeout))
    let interruptions = try step("wait for", "signals", remedy: descriptorRemedy) { () throws(Errno) in
        try Interruptions()
    }
    let (label, sequence) = try prepare(request, registry)
    let display = Display(app: request.name, label: label, copies: numbers, verbosity: request.verbosity)
    let log = Log(descriptor: 2, verbosity: request.verbosity, subject: "\(request.name) \(label)", display: display)
    registry.removeLaunchFailures()
    let past = registry.loadCopies().map { $0.process }
    var services: [Service] = []
    do throws(Failure) {
        for number in numbers {
            let service = try describeService(request, label, number, options, on: target, deployment, registry)
            try writeService(service, on: target)
            services.append(service)
        }
        log.step(
            "\(services.count == 1 ? "1 service is" : "\(services.count) services are") written for \(target.description)"
        )
        try startServices(services, on: target)
        var watch = ServiceWatch(
            request: request, label: label, numbers: numbers, deployment: deployment, log: log,
            // runsvdir looks for new services every five seconds.
            deadline: Deadline(after: Milliseconds(request.readyTimeout.count + 15_000)), past: past, sequence: sequence
        )
        try watch.run(registry, interruptions)
    } catch {
        if !services.isEmpty { log.warning(error.message) }
        for service in services.prefix(3) {
            display.output(of: service.name, joined(serviceOutput(service, on: target), by: "\n"))
        }
        try fail(label, registry, joins: request.joins != nil, error.reason)
        do throws(Failure) {
            if !services.isEmpty { try takeDown(services, on: target) }
        } catch {
            // Why it has failed is what is asked for.
            log.warning(error.message)
        }
        registry.removeLaunchFailures()
        throw error
    }
    if let turn { turn.release(closing: ()) }
    display.finish(
        "generation \(label) \(request.isSuspended ? "has taken over, suspended: connections wait until resume" : "serves with \(request.copies == 1 ? "1 copy" : "\(request.copies) copies")")",
        isGood: true)
}

/// Decides the generation's label, and notes whether it is to stand still when it takes over. Answers the number of the
/// youngest generation there is as well.
private func prepare(
    _ request: AppRequest, _ registry: borrowing Registry
) throws(Failure) -> (label: ByteString, sequence: UInt64) {
    let lock = try registry.lock(until: Deadline(after: request.lockTimeout))
    var state = AppState.mended(registry)
    let label = request.generation ?? state.unusedNumber()
    if request.joins == nil {
        if state.app.generations.contains(where: { $0.label == label && ($0.state == .live || $0.state == .starting) })
        {
            throw Failure(
                .usage, "deploy", "generation \(label)", "it is there already", remedy: "choose another --generation")
        }
        state.app.suspending = request.isSuspended ? label : nil
    }
    try state.store(in: registry)
    lock.release(closing: ())
    return (label, state.app.sequence)
}

/// What a service directory needs to know of a copy.
private func describeService(
    _ request: AppRequest, _ label: ByteString, _ number: Int, _ options: Options, on target: SupervisionTarget,
    _ deployment: Deployment, _ registry: borrowing Registry
) throws(Failure) -> Service {
    let launcher = try step("find", "this program") { () throws(Errno) in
        try readLink("exe", in: try open("/proc/self", O_RDONLY | O_DIRECTORY))
    }
    var service = Service(
        app: request.name, label: label, copy: number, command: [], workingDirectory: deployment.directory)
    service.runDirectory = request.runDirectory
    if case .file(let path)? = options.deploy.log {
        service.logDirectory = resolve(path, against: deployment.directory)
    }
    service.permanent = options.deploy.permanent
    service.onExit = options.deploy.onExit
    service.stopTimeout = request.stopTimeout
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
        guard let option = Option.named(pair.name) else { continue }
        switch option.key {
        case .app, .copies, .log, .supervision, .permanent, .onExit: continue
        case .memoryHigh where target == .systemd, .memoryMax where target == .systemd: continue
        case .config:
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
            if option.value != nil { words.append(pair.value) }
        }
    }
    service.command = words + (deployment.command.isEmpty ? [] : ["--"] + deployment.command)
    return service
}

/// Services that are started again, all of them after a reboot, are to know of how many copies they are.
func updateServices(
    _ deployment: Deployment, _ label: ByteString, copies: Int, _ registry: borrowing Registry
) throws(Failure) {
    let options = try deployment.options()
    guard let target = options.deploy.supervision, var request = options.app else { return }
    request.copies = copies
    for number in 0..<copies {
        try updateService(
            try describeService(request, label, number, options, on: target, deployment, registry), on: target)
    }
    if target == .systemd { try reloadUnits() }
}

/// Writes down that a generation has failed, if its copies have not done so themselves: their supervisors keep them down.
private func fail(
    _ label: ByteString, _ registry: borrowing Registry, joins: Bool, _ why: ByteString
) throws(Failure) {
    let lock = try registry.lock(until: Deadline(after: .seconds(10)))
    var state = AppState.mended(registry)
    state.app.suspending = nil
    if !joins, let starting = state.app.starting, starting.label == label { state.finish(starting.order, .failed, why) }
    try state.store(in: registry)
    lock.release(closing: ())
}

/// What is seen of a generation while others start its copies.
private struct ServiceWatch {
    let request: AppRequest
    let label: ByteString
    let numbers: [Int]
    let deployment: Deployment
    let log: Log
    let deadline: Deadline
    private var order: UInt64?
    private var shown: [CopyRecord.State?]
    private var hasTakenOver = false
    /// Processes that were there before.
    private let past: [ProcessIdentity]
    /// The number of the youngest generation before.
    private let sequence: UInt64

    init(
        request: AppRequest, label: ByteString, numbers: [Int], deployment: Deployment, log: Log, deadline: Deadline,
        past: [ProcessIdentity], sequence: UInt64
    ) {
        self.past = past
        self.sequence = sequence
        self.request = request
        self.label = label
        self.numbers = numbers
        self.deployment = deployment
        self.log = log
        self.deadline = deadline
        shown = numbers.map { _ in nil }
    }

    /// Returns when the generation serves and nobody is at work on the handoff any more.
    mutating func run(_ registry: borrowing Registry, _ interruptions: borrowing Interruptions) throws(Failure) {
        let changes = try step("watch", registry.path) { () throws(Errno) in try Changes(in: registry) }
        while true {
            let state = AppState.mended(registry)
            if try look(at: state, registry) { return }
            if !hasTakenOver {
                if let signal = interruptions.received() {
                    throw Failure(
                        .negative, "deploy", "generation \(label) of app \(request.name)",
                        "it was interrupted by \(signalName(signal))")
                }
                if deadline.hasPassed { throw late(state) }
            }
            changes.wait(for: interruptions.number, until: Deadline(after: Milliseconds(500)))
        }
    }

    /// Shows what is new; true when all is done.
    private mutating func look(at state: AppState, _ registry: borrowing Registry) throws(Failure) -> Bool {
        if !hasTakenOver {
            for number in numbers {
                guard let why = registry.loadLaunchFailure(label, number) else { continue }
                log.display?.note(copy: number, pid: nil, .failed(why))
                throw Failure(
                    .negative, "deploy", "generation \(label) of app \(request.name)", "copy \(number): \(why)",
                    remedy: state.app.live.map { "generation \($0.label) serves on" })
            }
        }
        guard
            let generation = state.app.generations.first(where: {
                $0.label == label && (request.joins ?? $0.order) == $0.order
                    && (request.joins != nil || $0.order > sequence)
            })
        else { return false }
        let copies = state.copies(of: generation.order)
        if order == nil, request.joins == nil {
            order = generation.order
            var deployment = deployment
            deployment.generation = generation.order
            registry.removeDeployments(but: state.app.generations)
            try registry.store(deployment)
        }
        for (index, number) in numbers.enumerated() {
            // Not what had the number before.
            guard let copy = copies.first(where: { $0.copy == number && !past.contains($0.process) }),
                copy.state != shown[index]
            else { continue }
            shown[index] = copy.state
            switch copy.state {
            case .starting: log.display?.note(copy: number, pid: copy.process.pid, .starting)
            case .ready: log.display?.note(copy: number, pid: copy.process.pid, .ready)
            case .live: log.display?.note(copy: number, pid: copy.process.pid, .serving)
            case .ended:
                log.display?.note(copy: number, pid: copy.process.pid, .failed(copy.reason))
                // One that joins fails alone, and would be started again and again.
                if request.joins != nil {
                    throw Failure(
                        .negative, "add", "copy \(number) to generation \(label) of app \(request.name)", copy.reason)
                }
            case .stopping, .retired: break
            }
        }
        switch generation.state {
        case .starting: return false
        case .live:
            let serving = copies.filter {
                $0.state == .live && numbers.contains($0.copy) && !past.contains($0.process)
            }
            if !hasTakenOver, serving.count == numbers.count {
                hasTakenOver = true
                log.step(request.joins == nil ? "has taken over" : "they have taken their places")
                if request.isSuspended { try reportRoom(serving) }
            }
            // The helper of the last copy has the old generation to end.
            return hasTakenOver && !state.copies.contains { $0.helper != nil }
        case .retiring, .retired, .ended:
            if hasTakenOver { return true }
            fallthrough
        case .failed:
            let failed = copies.filter { !$0.reason.isEmpty }.map { "copy \($0.copy): \($0.reason)" as ByteString }
            throw Failure(
                .negative, "deploy", "generation \(label) of app \(request.name)",
                generation.reason.isEmpty ? joined(failed, by: "; ") : generation.reason,
                remedy: state.app.live.map { "generation \($0.label) serves on" })
        }
    }

    /// How many connections can wait, after what the programs have shrunk has been raised again.
    private func reportRoom(_ copies: [CopyRecord]) throws(Failure) {
        var room = 0
        for copy in copies {
            for listener in copy.listeners {
                guard let held = try? borrowListener(of: copy, named: listener.identity.name) else { continue }
                room += try widenBacklog(held, listener)
            }
        }
        if room > 0 { log.step("up to \(room) connections can wait") }
    }

    private func late(_ state: AppState) -> Failure {
        let present = state.app.generations.last { $0.label == label }.map { state.running($0.order).count } ?? 0
        return Failure(
            .negative, "deploy", "generation \(label) of app \(request.name)",
            present == 0
                ? "its supervisor has not started it" : "only \(present) of \(request.copies) copies are there",
            remedy: state.app.live.map { "generation \($0.label) serves on" })
    }
}

/// The file whose holder writes services of which the registry does not know yet.
let deployLock: ByteString = "deploy.lock"

/// Removes the services of generations that are over, wherever deploy has written some.
///
/// `holdsTurn`: whether the caller has `deploy.lock`. While somebody else has it, nothing is removed: what has just been
/// written looks like what is over. Who has it comes by here when it is done.
func removeRetiredServices(
    of app: ByteString, in runDirectory: ByteString, holdsTurn: Bool = false
) throws(Failure) {
    guard let registry = try Registry.open(app, in: runDirectory, create: false) else { return }
    var targets: [SupervisionTarget] = []
    for generation in (registry.loadApp()?.generations ?? []) {
        guard let deployment = registry.loadDeployment(of: generation.order),
            let on = deployment.settings.first(where: { $0.name == "--on" }),
            let target = try? parseSupervisionTarget(on.value), !targets.contains(target)
        else { continue }
        targets.append(target)
    }
    if targets.isEmpty { return }
    let turn: Descriptor?
    do throws(Failure) {
        turn = holdsTurn ? nil : try registry.lock(deployLock, until: Deadline(moment: 0))
    } catch {
        if error.code == .negative { return }
        throw error
    }
    let state = AppState.mended(registry)
    for target in targets {
        try removeServices(app: app, on: target) { label, copy in
            !state.app.generations.contains { generation in
                guard generation.label == label else { return false }
                // What finishes is removed when it has.
                return generation.state == .starting || generation.state == .live && copy < generation.copies
                    || state.running(generation.order).contains { $0.copy == copy }
            }
        }
    }
    if let turn { turn.release(closing: ()) }
}
