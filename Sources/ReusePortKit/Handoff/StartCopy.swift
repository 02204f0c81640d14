import CLinux

/// A copy that deploy has started, and that waits at the gate.
struct StartedCopy: ~Copyable {
    let request: AppRequest
    let process: ProcessHandle
    /// Its sockets, bound.
    let sockets: OwnedArray<Placement>
    let listeners: [CopyRecord.Listener]
    let channel: ReadinessChannel
    let exec: ExecChannel
}

/// What is the same for all copies that one deploy starts.
struct Nursery: ~Copyable {
    let gate: Gate
    /// How many descriptors the caller allows; we need those of all copies.
    private let limit: rlimit
    private let ignoresChildren: Bool
    private let ignoresPipes: Bool

    init() throws(Failure) {
        gate = try step("make", "pipe to the copies", remedy: descriptorRemedy) { () throws(Errno) in try Gate() }
        var limit = rlimit()
        _ = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        self.limit = limit
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        // Where this is ignored, children leave no status behind.
        ignoresChildren = clinux_signal_is_ignored(SIGCHLD) != 0
        clinux_default_signal(SIGCHLD)
        // A reader of our messages that has gone is no reason to die in the middle of a handoff.
        ignoresPipes = clinux_signal_is_ignored(SIGPIPE) != 0
        clinux_ignore_signal(SIGPIPE)
    }

    /// Binds and opens all that a copy needs, and forks it.
    func start(
        _ plan: Plan, _ app: AppRequest, _ output: borrowing Output, _ leftovers: inout Leftovers
    ) throws(Failure) -> StartedCopy {
        var plan = plan
        plan.choose(app)
        var opened = try openAll(plan, &leftovers)
        let listeners = try identify(plan, opened.placements, opened.addresses)
        var channel = try ReadinessChannel.make(app.readiness)
        channel.node = opened.channel.take()
        var highest = opened.highestTarget
        if case .descriptor(let number) = app.readiness, let end = channel.takeWriteEnd() {
            opened.append(end, at: number)
            highest = max(highest, number)
        }
        var exec = try ExecChannel.make(from: highest + 1)
        let pid = try step("start", "copy \(app.copy)") { () throws(Errno) in try checked(fork()) }
        if pid == 0 {
            opened.exec = consume exec
            become(plan, opened, channel.notifySocketName, output)
        }
        let process = try watchProcess(pid)
        exec.closeWriter()
        return StartedCopy(
            request: app, process: process, sockets: opened.takeSockets(plan.sockets.count), listeners: listeners,
            channel: channel, exec: exec)
    }

    /// The child: waits at the gate, and becomes the target.
    private func become(
        _ plan: Plan, _ opened: consuming Opened, _ readiness: ByteString?, _ output: borrowing Output
    ) -> Never {
        // Keys on deploy's terminal, and its end, are not meant for it.
        _ = setsid()
        var limit = limit
        _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        if ignoresChildren { clinux_ignore_signal(SIGCHLD) }
        if !ignoresPipes { clinux_default_signal(SIGPIPE) }
        if let null = try? open("/dev/null", O_RDWR) { _ = dup2(null.number, 0) }
        switch output.descriptor {
        case .some(let log):
            _ = dup2(log.number, 1)
            _ = dup2(log.number, 2)
        case .none: break
        }
        guard gate.pass() else { _exit(1) }
        // What was made for it is removed by deploy, which learns of the failure.
        let failure = becomeTarget(plan, opened, Leftovers(), readiness: readiness)
        _exit(failure.code.rawValue)
    }
}

extension Opened {
    /// The sockets alone. All else is the copy's: somebody may wait for the end of it.
    fileprivate consuming func takeSockets(_ count: Int) -> OwnedArray<Placement> {
        while placements.count > count { _ = placements.popLast() }
        return placements
    }
}
