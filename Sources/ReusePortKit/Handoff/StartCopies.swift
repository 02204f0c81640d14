import CLinux

/// Starts the copies of one deploy, which wait at a barrier until they are registered.
final class CopyStarter {
    let barrier: Barrier
    /// The caller's limit of open descriptors. The coordinator raises it because it holds those of all copies; each copy
    /// gets the old one back.
    private let limit: rlimit
    private let ignoresChildren: Bool
    private let ignoresPipes: Bool
    /// The caller's signals that are blocked. The command blocks more when copies are registered.
    private let blocked: sigset_t

    init() throws(Failure) {
        barrier = try step("make", "barrier for the copies", remedy: descriptorRemedy) { () throws(Errno) in
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
        var blocked = sigset_t()
        sigprocmask(SIG_BLOCK, nil, &blocked)
        self.blocked = blocked
    }

    /// Binds and opens what a copy needs.
    func prepare(
        _ number: Int, _ plan: Plan, _ request: AppRequest, in registry: Registry,
        output: borrowing Output, _ leftovers: inout Leftovers
    ) throws(Failure) -> PreparedCopy {
        var plan = plan
        plan.choose(copy: number, startsSuspended: request.isSuspended)
        var opened = try openAll(plan, &leftovers)
        let listeners = try identify(plan, opened.placements, opened.addresses)
        let channel = try opened.makeReadinessChannel(plan, request, in: registry)
        let exec = try ExecPipe.make(from: opened.highestTarget + 1)
        let execReport = exec.report
        opened.exec = consume execReport
        return PreparedCopy(
            number: number, listeners: listeners, channel: channel, exec: exec.watch,
            origin: .child(
                UnstartedChild(
                    starter: self, plan: plan, opened: opened,
                    output: try step("copy", "descriptor of the log", remedy: descriptorRemedy) { () throws(Errno) in
                        try output.duplicate()
                    })))
    }

    /// The child: waits at the barrier, and becomes the target.
    fileprivate func become(
        _ plan: Plan, _ opened: consuming Opened, _ output: borrowing Descriptor?
    ) -> Never {
        // A new session: signals of the command's terminal are not meant for copies.
        _ = setsid()
        var limit = limit
        _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        if ignoresChildren { clinux_ignore_signal(SIGCHLD) }
        if !ignoresPipes { clinux_default_signal(SIGPIPE) }
        var blocked = blocked
        sigprocmask(SIG_SETMASK, &blocked, nil)
        useNull(at: [0])
        switch output {
        case .some(let log):
            _ = dup2(log.number, 1)
            _ = dup2(log.number, 2)
        case .none: break
        }
        if !barrier.pass() { _exit(1) }
        // The command learns of the failure, and removes what was made.
        let failure = becomeTarget(plan, opened, Leftovers())
        _exit(failure.code.rawValue)
    }
}

/// All that a copy of a deploy needs to be forked.
struct UnstartedChild: ~Copyable {
    fileprivate let starter: CopyStarter
    fileprivate let plan: Plan
    fileprivate var opened: Opened
    /// The copy's output; nil for the command's own.
    fileprivate let output: Descriptor?

    /// Forks the copy into the group, so that all that it starts is in there.
    consuming func start(_ number: Int, in group: CopyGroup?, asStart count: UInt64) throws(Failure) -> CopyProcess {
        opened.start = count
        let child = try step("start", "copy \(number)") { () throws(Errno) in try forkChild(in: group) }
        if child.pid == 0 { starter.become(plan, opened, output) }
        do throws(Failure) {
            if !child.isInGroup { try joinGroup(group, child.pid) }
            return CopyProcess(
                handle: try watchProcess(child.pid), sockets: opened.takeSockets(plan.sockets.count))
        } catch {
            endAtBarrier(child.pid)
            throw error
        }
    }
}

/// Ends a copy that waits at the barrier, so that its group can be removed.
func endAtBarrier(_ child: Int32) {
    kill(child, SIGKILL)
    _ = try? uninterrupted { waitpid(child, nil, 0) }
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
