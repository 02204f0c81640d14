import CLinux

extension Coordinator {
    /// Connects a probe to each member before the first is waited for, so that all accept theirs meanwhile.
    func connectProbes(_ probes: Probes) throws(Failure) {
        guard case .accept = request.readiness else { return }
        let lock = try registry.lock()
        let state = AppState.forProbes(registry)
        for index in 0..<members.count {
            // One listener each: a program that serves one client at a time would read from the first probe, and never
            // accept a second.
            let listeners = members[index].record.listeners
            guard let which = listeners.firstIndex(where: { $0.identity.transport != .udp }) else { continue }
            probes.add(
                try state.probe(listeners[which], held: members[index].copy.sockets[which].source), member: index,
                listener: which)
        }
        try state.storeProbed(in: registry)
        lock.release(closing: ())
    }

    /// Waits until a member is ready; fails as soon as anything happens that ends the handoff.
    func awaitReady(_ index: Int, _ probes: Probes, until deadline: Deadline) throws(StepFailure) {
        try awaitExec(index, until: deadline)
        try check(index, request.readiness, probes, within: request.readyTimeout, until: deadline, report)
        show(index, .ready)
    }

    /// Checks members that serve by `--watch-check`, or as their readiness was checked if that can be done again. The
    /// check comes as a client does, so any copy may answer: only listeners that get no connections can be probed.
    func checkAgain(_ index: Int) throws(StepFailure) {
        let readiness = request.watchCheck.map { .command($0) } ?? request.readiness
        switch readiness {
        case .accept, .http, .command: break
        case .notify, .message, .acknowledgement, .descriptor, .none: return
        }
        let patience = min(request.readyTimeout, .seconds(5))
        try check(index, readiness, nil, within: patience, until: Deadline(after: patience), Reporter { _ in })
    }

    @inline(never)
    private func check(
        _ index: Int, _ readiness: Readiness, _ probes: Probes?, within allowed: Milliseconds, until deadline: Deadline,
        _ report: Reporter
    ) throws(StepFailure) {
        let listeners = members[index].record.listeners
        let check = ReadinessCheck(
            readiness: readiness, listeners: listeners.map { $0.identity }, deadline: deadline, allowed: allowed,
            interruption: interruption(isLive: generation.state == .live || probes == nil),
            offered: offer(listeners, members[index].copy.sockets),
            report: { [self] event in
                report(.readiness(event))
                // Whoever waits should not have to wait for the end of the time to learn of it.
                guard case .elapsed(5, _) = event, let hint = hint(index) else { return }
                report(.readiness(.suspected(hint.description.dropFirst(2))))
            })
        do throws(NotReady) {
            try awaitReadiness(
                check, of: members[index].copy.process, channel: members[index].copy.channel
            ) { (which: Int) throws(Failure) in
                guard let probes else {
                    let identity = listeners[which].identity
                    var client = try Probe(of: identity, held: members[index].copy.sockets[which].source)
                    client.connect()
                    return try client.takeSocket(identity, held: members[index].copy.sockets[which].source)
                }
                if let probe = probes.take(member: index, listener: which) { return probe }
                return try registry.probe(listeners[which], held: members[index].copy.sockets[which].source)
            }
        } catch {
            throw .member(index, reason(of: index, notReady: error))
        }
    }

    /// Returns once the member is the target; fails if it ended before.
    private func awaitExec(_ index: Int, until deadline: Deadline) throws(StepFailure) {
        let pid = members[index].pid
        let outcome = try handoffStep(member: index) { () throws(Failure) in
            try step("wait for", "pid \(pid)") { () throws(Errno) in
                try members[index].copy.exec.outcome(until: deadline)
            }
        }
        if outcome == .executed { return }
        // The pipe closes a moment before the process has ended.
        _ = try? members[index].copy.process.waitForExit(until: Deadline(after: .seconds(1)))
        if case .failed(let words) = outcome { throw .member(index, EndReason(.launch, words)) }
        let hasExited = members[index].copy.process.hasExited
        throw .member(index, hasExited ? reason(of: index) : EndReason(.launch, "the target was not started"))
    }

    /// A descriptor that becomes readable when there is no point in waiting for a member: with a signal to the command,
    /// or with the end of any of its copies. In a live generation members fail each for itself, so there only the signal
    /// counts.
    private func interruption(isLive: Bool) -> Int32? {
        switch interruptions {
        case .some(let interruptions): isLive ? interruptions.signalsNumber : interruptions.number
        case .none: nil
        }
    }

    private func reason(of index: Int, notReady: NotReady) -> EndReason {
        guard case .ended = notReady else {
            var words = notReady.description
            if case .late = notReady, let hint = hint(index) {
                hasHint = true
                words.append(hint.description)
            }
            return EndReason(.notReady, words)
        }
        return reason(of: index)
    }

    /// Looks for the reason why a member does not become ready.
    private func hint(_ index: Int) -> StartHint? {
        startHint(of: members[index].copy.process.identity, members[index].record, request)
    }

    /// Why a member has ended: the launcher's own message if it had not become the target.
    func reason(of index: Int) -> EndReason {
        if case .failed(let words)? = try? members[index].copy.exec.outcome(until: Deadline(moment: 0)) {
            return EndReason(.launch, words)
        }
        let end = end(of: members[index].copy.process)
        // If the kernel killed it, its control group said so, but another process may have read and removed that.
        let known = AppState.reconciled(registry).copies.first { $0.process == members[index].record.process }
        if end == nil || end == .killed(SIGKILL), let reason = known?.reason, reason.isOutOfMemory {
            return reason
        }
        guard end == .exited(0) else { return EndReason(end) }
        return EndReason(.background, role == .command ? ", and not wait for standard input, which is /dev/null" : "")
    }

    /// Why a member fails: by what has failed if that was this member, or else by its end if it has ended.
    func reason(of index: Int, _ failure: StepFailure) -> EndReason {
        let known: EndReason
        switch failure {
        case .member(index, let reason) where reason.cause != .notReady: return reason
        case .member(_, let reason): known = reason
        case .generation(let outcome): known = outcome.reasonOfCopy
        }
        return members[index].copy.process.hasExited ? reason(of: index) : known
    }
}
