import CLinux

/// Starts the copies of one deploy, which wait at a barrier until they are registered.
struct CopyStarter: ~Copyable {
    let barrier: Barrier
    /// The caller's limit of open descriptors. The coordinator raises it because it holds those of all copies; each copy
    /// gets the old one back.
    private let limit: rlimit
    private let ignoresChildren: Bool
    private let ignoresPipes: Bool

    init() throws(Failure) {
        barrier = try step("make", "pipe to the copies", remedy: descriptorRemedy) { () throws(Errno) in
            try Barrier()
        }
        var limit = rlimit()
        _ = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        self.limit = limit
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        // With SIGCHLD ignored, children would leave no exit status.
        ignoresChildren = clinux_signal_is_ignored(SIGCHLD) != 0
        clinux_default_signal(SIGCHLD)
        // Writing to a pipe whose reader has gone must not end the handoff.
        ignoresPipes = clinux_signal_is_ignored(SIGPIPE) != 0
        clinux_ignore_signal(SIGPIPE)
    }

    /// Binds and opens what a copy needs, and forks it.
    borrowing func start(
        _ number: Int, _ plan: Plan, _ request: AppRequest, in registry: Registry,
        output: borrowing Output, _ leftovers: inout Leftovers
    ) throws(Failure) -> StartedCopy {
        var plan = plan
        plan.choose(copy: number, startsSuspended: request.isSuspended)
        var opened = try openAll(plan, &leftovers)
        let listeners = try identify(plan, opened.placements, opened.addresses)
        let channel = try opened.makeReadinessChannel(plan, request, in: registry)
        let exec = try ExecPipe.make(from: opened.highestTarget + 1)
        let pid = try step("start", "copy \(number)") { () throws(Errno) in try checked(fork()) }
        if pid == 0 {
            let execReport = exec.report
            opened.exec = consume execReport
            become(plan, opened, output)
        }
        return StartedCopy(
            number: number, process: try watchProcess(pid), sockets: opened.takeSockets(plan.sockets.count),
            listeners: listeners, channel: channel, exec: exec.watch)
    }

    /// The child: waits at the barrier, and becomes the target.
    private borrowing func become(
        _ plan: Plan, _ opened: consuming Opened, _ output: borrowing Output
    ) -> Never {
        // A new session: signals of the command's terminal are not meant for copies.
        _ = setsid()
        var limit = limit
        _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        if ignoresChildren { clinux_ignore_signal(SIGCHLD) }
        if !ignoresPipes { clinux_default_signal(SIGPIPE) }
        useNull(at: [0])
        switch output.descriptor {
        case .some(let log):
            _ = dup2(log.number, 1)
            _ = dup2(log.number, 2)
        case .none: break
        }
        guard let start = barrier.pass() else { _exit(1) }
        opened.start = start
        // The command learns of the failure, and removes what was made.
        let failure = becomeTarget(plan, opened, Leftovers())
        _exit(failure.code.rawValue)
    }
}

extension Opened {
    /// Makes the channel by which the target reports that it is ready, and gives the target its end: at the descriptor
    /// that `fd:N` names, or behind all others.
    mutating func makeReadinessChannel(
        _ plan: Plan, _ request: AppRequest, in registry: Registry
    ) throws(Failure) -> ReadinessChannel {
        var made = try ReadinessChannel.make(request.readiness, in: registry.folder.number)
        made.node = channel.take()
        readiness = made.notifySocketName.map { .notify($0) }
        guard let end = made.takeWriteEnd() else { return made }
        if case .descriptor(let number) = request.readiness {
            append(end, at: number)
        } else {
            let number = max(highestTarget, plan.keptDescriptors.max() ?? 0) + 1
            readiness = .acknowledgement(number)
            append(end, at: number)
        }
        return made
    }

    /// Keeps the sockets, and closes all other descriptors, because others may wait until all copies of them are closed.
    fileprivate consuming func takeSockets(_ count: Int) -> OwnedArray<Placement> {
        while placements.count > count { _ = placements.popLast() }
        return placements
    }
}
