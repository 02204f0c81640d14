import CLinux

/// Stops copies, and returns when each of them has ended, or is finishing without listeners, or cannot be stopped.
///
/// The supervisors are told first, because a copy that is started again would take over as a new generation; a copy whose
/// supervisor cannot be told is left as it is. Then the copies are lowered and sent their stop signals, all at once.
/// The kernel is asked whether their listeners are gone, whoever holds them. Heirs of a copy that hold them get the stop
/// signal too, if they do not get it from the copy. What is still open at the stop timeout is taken away from everybody,
/// and whoever of the copy holds it is killed.
///
/// `sparing` are the supervisors of copies that live on: none of them is told anything. The supervisor of a copy that
/// has already gone is told to keep the service down, which also ends a successor that it has started.
///
/// Fails before anything is done if processes or sockets cannot be seen; and if poll(2) fails.
func stop(
    _ orders: [StopOrder], sparing: [Supervisor], in proc: ProcFileSystem = ProcFileSystem(),
    searchPath: ByteString = safeSearchPath, report: @escaping (StopEvent) -> Void
) throws(Failure) -> [StopOutcome] {
    guard proc.isMounted else { throw Failure("read", "/proc", .noEntry) }
    let setting = StopSetting(proc: proc, report: report)
    let copies = orders.map { StoppingCopy($0, in: setting) }
    try step("list", "listening sockets", remedy: diagnosticsRemedy) { () throws(Errno) in try look(at: copies) }
    tellSupervisors(of: copies, sparing: sparing, searchPath: searchPath)
    for copy in copies where copy.isAwaited { copy.lower() }
    for copy in copies where copy.isAwaited { copy.ask() }
    try finish(copies)
    let outcomes = copies.compactMap { $0.state.outcome }
    for case .refused(let refusal) in outcomes { report(.refused(refusal)) }
    return outcomes
}

/// Waits until all of them are finished.
private func finish(_ copies: [StoppingCopy]) throws(Failure) {
    var pause = Pause()
    while true {
        for copy in copies where copy.isAwaited { copy.noteEnd() }
        // If the kernel does not answer for once, nothing is taken to have changed.
        try? look(at: copies.filter { $0.needsLook })
        for copy in copies { copy.decide() }
        let rest = copies.filter { !$0.isFinished }
        guard var deadline = rest.first?.state.deadline else { return }
        for copy in rest { deadline = min(deadline, copy.state.deadline ?? deadline) }
        var timeout = deadline.pollTimeout
        if rest.contains(where: { $0.needsLook }) {
            // What is late waits for its listeners to vanish.
            timeout = timeout == 0 ? Int32(pause.length.count) : min(timeout, Int32(pause.length.count))
            pause.lengthen()
        }
        // When one has ended, the others are likely to follow soon.
        if try waitForEnd(of: rest, timeout: timeout) { pause = Pause() }
    }
}

/// poll(2) until one of the running copies has ended: true. False after the timeout, or after a signal.
private func waitForEnd(of copies: [StoppingCopy], timeout: Int32) throws(Failure) -> Bool {
    var entries: [pollfd] = []
    for copy in copies where copy.isAwaited {
        if let number = copy.exitDescriptor { entries.append(pollfd(fd: number, events: Int16(POLLIN), revents: 0)) }
    }
    let events = poll(&entries, nfds_t(entries.count), timeout)
    if events == -1, clinux_errno() != EINTR { throw Failure("wait for", "the copies that stop", .current) }
    return events > 0
}

/// Looks which listeners of these copies are open.
private func look(at copies: [StoppingCopy]) throws(Errno) {
    let listeners = copies.flatMap { $0.order.listeners }
    if listeners.isEmpty { return }
    let open = try openListeners(listeners)
    for copy in copies {
        copy.open = open.filter { one in copy.order.listeners.contains { $0.cookie == one.identity.cookie } }
    }
}
