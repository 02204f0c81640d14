import CLinux

/// In which process `forkHelper` has returned.
enum HelperFork {
    case helper
    case parent(helper: ProcessIdentity)
}

/// Forks a process that is not our child, because the target, which this process becomes by exec, must not find a child
/// that it does not know.
///
/// The child forks the helper, tells us its pid through a pipe, and exits, so the helper is a child of neither.
func forkHelper() throws(Failure) -> HelperFork {
    let pipe = try step("start", "the helper", remedy: descriptorRemedy) { () throws(Errno) in try PipeEnds() }
    let reader = pipe.reader
    let writer = pipe.writer
    let child = try step("start", "the helper") { () throws(Errno) in try checked(fork()) }
    if child != 0 {
        var status: Int32 = 0
        _ = try? uninterrupted { waitpid(child, &status, 0) }
        // Closed first: if the second fork fails, the read would wait for our own end.
        writer.release(closing: ())
        let identity = try step("start", "the helper") { () throws(Errno) in
            // The child writes the pid of its own child, or nothing if the second fork failed.
            var helper: Int32 = 0
            let count = try uninterrupted { read(reader.number, &helper, MemoryLayout<Int32>.size) }
            guard count == MemoryLayout<Int32>.size else { throw .again }
            return try ProcessIdentity(of: helper)
        }
        return .parent(helper: identity)
    }
    // The child, which only forks once more.
    var helper = fork()
    if helper > 0 { _ = write(writer.number, &helper, MemoryLayout<Int32>.size) }
    if helper != 0 { _exit(0) }
    // The helper. It gets a session of its own: a signal to the target's process group is not meant for the helper.
    _ = setsid()
    return .helper
}

/// Carries out the handoff, in the helper, and exits.
func runAsHelper(_ coordinator: Coordinator) -> Never {
    let (registry, generation) = (coordinator.registry, coordinator.generation)
    let line = HistoryLine()
    leaveCaller(coordinator)
    // A copy that comes back is not in the history, and the copies of a deploy are not, since that itself is.
    if generation.state == .starting, registry.loadUnfinished() != generation.label {
        line.begin(registry.app, in: directory(of: registry.path))
    }
    // A failure is recorded and reported by then.
    var failure: Failure?
    do throws(HandoffFailure) { try coordinator.run() } catch { failure = error.failure() }
    line.end(failure)
    _exit(0)
}

/// Makes the helper independent of the process that it was forked from: closes all descriptors but those that the
/// handoff needs, because others may wait until all duplicates are closed; ignores signals that are not meant for it.
private func leaveCaller(_ coordinator: Coordinator) {
    let log = coordinator.request.logDescriptor
    // The log may be standard output or standard error.
    useNull(at: [0, 1, 2].filter { $0 == 0 || $0 != log })
    var needed = [coordinator.registry.folder.number, log]
    if let number = coordinator.request.notifyDescriptor { needed.append(number) }
    for index in 0..<coordinator.members.count {
        needed.append(coordinator.members[index].copy.process.descriptor.number)
        needed.append(coordinator.members[index].copy.exec.reader.number)
        coordinator.members[index].copy.channel.appendReader(to: &needed)
        for which in 0..<coordinator.members[index].copy.sockets.count {
            needed.append(coordinator.members[index].copy.sockets[which].source.number)
        }
    }
    closeAllAbove2(but: needed)
    // Commands that the helper runs (--ready exec:, systemctl) do not need what the caller has opened.
    for number in needed where number > 2 { _ = clinux_fcntl(number, F_SETFD, Int(FD_CLOEXEC)) }
    // Neither a reader of the log that has gone nor a key on the terminal ends a handoff.
    for signal in [SIGPIPE, SIGINT, SIGQUIT, SIGHUP, SIGTSTP] { clinux_ignore_signal(signal) }
    // Changes to /, so that the helper keeps no other directory in use.
    _ = clinux_leave_working_directory()
}

/// Opens /dev/null in the place of these descriptors.
func useNull(at numbers: [Int32]) {
    guard let null = try? open("/dev/null", O_RDWR) else { return }
    for number in numbers { _ = dup2(null.number, number) }
}

/// Closes all descriptors above 2 that are not needed: the gaps between those that are, and all after the last.
func closeAllAbove2(but needed: [Int32]) {
    var first = 3
    for number in needed.ordered(by: { $0 < $1 }) where number >= 3 {
        if number > first { closeRange(first, Int(number) - 1) }
        first = max(first, Int(number) + 1)
    }
    closeRange(first, Int(UInt32.max))
}

private func closeRange(_ first: Int, _ last: Int) {
    if clinux_syscall(Int(CLINUX_SYS_close_range), first, last, 0, 0, 0, 0) == 0 { return }
    // Kernels before 5.9 have no close_range(2): close one by one, up to a number that no process of ours reaches.
    let end = min(last, 1 << 16)
    guard first <= end else { return }
    for number in first...end { close(Int32(number)) }
}
