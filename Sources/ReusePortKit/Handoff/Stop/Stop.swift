import CLinux

/// Stops copies, and returns when each has ended, or is finishing without listeners, or cannot be stopped.
///
/// First the supervisors are told, for what is started again would take over as a new generation; a copy whose
/// supervisor cannot be told is left as it is. Then the copies are lowered and sent their stop signals, all at once.
/// Their listeners are seen to be gone, whoever holds them. What has not closed them at the stop timeout is killed, and
/// so is what it had started if it has the listeners.
///
/// `sparing` are the supervisors of copies that live on: none of them is told anything. The supervisor of a copy that
/// has already gone is told to keep the service down, which ends what may run in its place.
///
/// Fails before anything is done if processes or sockets cannot be seen; and if poll(2) fails.
func stop(
    _ orders: [StopOrder], sparing: [Supervisor], log: Log, in proc: ProcFileSystem = ProcFileSystem(),
    searchPath: ByteString = safeSearchPath
) throws(Failure) -> [StopOutcome] {
    guard proc.isMounted else { throw Failure("read", "/proc", .noEntry) }
    let copies = orders.map { StoppingCopy($0, in: proc) }
    try step("list", "listening sockets") { () throws(Errno) in try look(at: copies) }

    tellSupervisors(of: copies, sparing: sparing, log, in: proc, searchPath: searchPath)
    for copy in copies where copy.isAwaited {
        copy.noteDescendants(in: proc)
        copy.lower(log, in: proc)
    }
    for copy in copies where copy.isAwaited { copy.ask(log, in: proc) }

    try finish(copies, log, in: proc)
    var outcomes: [StopOutcome] = []
    for copy in copies {
        let outcome = copy.outcome!
        if case .refused(let why) = outcome { log.warning(why) }
        outcomes.append(outcome)
    }
    return outcomes
}

/// Tells all of them, then waits until all know.
private func tellSupervisors(
    of copies: [StoppingCopy], sparing: [Supervisor], _ log: Log, in proc: ProcFileSystem, searchPath: ByteString
) {
    for copy in copies where copy.outcome == nil {
        guard let supervisor = copy.order.supervisor, !sparing.contains(supervisor) else { continue }
        do throws(Failure) {
            copy.command = try supervisor.tell(copy.hasExited ? .down : .once, searchPath: searchPath)
        } catch {
            leave(copy, to: supervisor, error, log, in: proc)
        }
    }
    let deadline = Deadline(after: controlPatience)
    var pause = Pause()
    for copy in copies {
        guard let supervisor = copy.order.supervisor, copy.command != nil else { continue }
        while !copy.commandIsRead(), !deadline.hasPassed { pause.wait(until: deadline) }
        if !copy.commandIsRead() {
            leave(copy, to: supervisor, supervisor.unread, log, in: proc)
        } else if !copy.hasExited, copy.seesExit() {
            // It has ended by itself meanwhile, and may have been started again before the word was read.
            _ = try? supervisor.tell(.down, searchPath: searchPath)
        }
        copy.command = nil
    }
}

/// Its supervisor cannot be told, and would start it again. Unless it has no child of this name any more.
private func leave(
    _ copy: StoppingCopy, to supervisor: Supervisor, _ failure: Failure, _ log: Log, in proc: ProcFileSystem
) {
    if copy.hasExited { return log.warning(failure.message) }
    if let name = supervisor.processName, let status = try? ProcessStatus(of: copy.order.process.pid, in: proc),
        (try? commandName(of: status.parent, in: proc)) != name
    {
        return log.detail(failure.message)
    }
    copy.outcome = .refused("\(copy.name) is left running, or it would be started again: \(failure.message)")
}

/// Waits for all of them.
private func finish(_ copies: [StoppingCopy], _ log: Log, in proc: ProcFileSystem) throws(Failure) {
    var pause = Pause()
    while true {
        for copy in copies where copy.isAwaited { copy.hasExited = copy.seesExit() }
        // That the kernel does not answer for once is as if nothing had changed.
        try? look(at: copies.filter { $0.needsLook })
        var next: Deadline?
        var needsLook = false
        var entries: [pollfd] = []
        for copy in copies {
            copy.decide(log, in: proc)
            guard copy.outcome == nil else { continue }
            next = min(next ?? copy.deadline, copy.deadline)
            if copy.needsLook { needsLook = true }
            if copy.isAwaited, let number = copy.exitDescriptor() {
                entries.append(pollfd(fd: number, events: Int16(POLLIN), revents: 0))
            }
        }
        guard let next else { return }
        var timeout = next.pollTimeout
        if needsLook {
            timeout = min(timeout, Int32(pause.length.count))
            pause.lengthen()
        }
        let events = poll(&entries, nfds_t(entries.count), timeout)
        if events == -1, clinux_errno() != EINTR { throw Failure("wait for", "the copies that stop", .current) }
        // The others are likely to follow.
        if events > 0 { pause = Pause() }
    }
}

/// Looks at the listeners of these.
private func look(at copies: [StoppingCopy]) throws(Errno) {
    var listeners: [ListenerIdentity] = []
    for copy in copies { listeners += copy.order.listeners }
    if listeners.isEmpty { return }
    let left = try listenersLeft(listeners)
    for copy in copies {
        copy.left = left.filter { one in copy.order.listeners.contains { $0.cookie == one.identity.cookie } }
    }
}
