import CLinux

/// Starts the process that hands over, as nobody's child: the target must not find one that it does not know.
///
/// In the launcher it returns the helper's identity; in the helper it does not return.
func startHelper(
    _ enrolment: borrowing Enrolment, _ sockets: borrowing OwnedArray<Placement>
) throws(Failure) -> ProcessIdentity {
    let pipe = try step("start", "the helper", remedy: descriptorRemedy) { () throws(Errno) in try PipeEnds() }
    let reader = pipe.reader
    let writer = pipe.writer
    let child = try step("start", "the helper") { () throws(Errno) in try checked(fork()) }
    if child != 0 {
        var status: Int32 = 0
        _ = try? uninterrupted { waitpid(child, &status, 0) }
        writer.release(closing: ())
        return try step("start", "the helper") { () throws(Errno) in
            // The child has told which number its own child got; nothing if it got none.
            var helper: Int32 = 0
            let count = try uninterrupted { read(reader.number, &helper, MemoryLayout<Int32>.size) }
            guard count == MemoryLayout<Int32>.size else { throw .again }
            return try ProcessIdentity(of: helper)
        }
    }
    var helper = fork()
    if helper > 0 { _ = write(writer.number, &helper, MemoryLayout<Int32>.size) }
    if helper != 0 { _exit(0) }

    // A session of its own: a signal to the target's process group is not meant for it.
    _ = setsid()
    leave(enrolment, sockets)
    runHelper(enrolment, sockets)
    _exit(0)
}

/// Lets go of all that is the target's or the caller's: somebody may wait for the end of it.
private func leave(_ enrolment: borrowing Enrolment, _ sockets: borrowing OwnedArray<Placement>) {
    let log = enrolment.log.descriptor
    if let null = try? open("/dev/null", O_RDWR) {
        _ = dup2(null.number, 0)
        if log != 1 { _ = dup2(null.number, 1) }
        if log != 2 { _ = dup2(null.number, 2) }
    }
    var needed = [
        enrolment.registry.folder.number, enrolment.process.descriptor.number, log,
        enrolment.request.notifyDescriptor ?? 2,
    ]
    enrolment.channel.appendReader(to: &needed)
    needed.append(enrolment.exec.reader.number)
    for index in 0..<enrolment.record.listeners.count { needed.append(sockets[index].source.number) }
    closeAllAbove2(but: needed)
    // A command that tells of readiness, and systemctl, have no use for what the caller has opened.
    for number in needed where number > 2 { _ = clinux_fcntl(number, F_SETFD, Int(FD_CLOEXEC)) }
    // A reader of the log that has gone is no reason to die in the middle of a handoff; nor is a key on the terminal.
    for signal in [SIGPIPE, SIGINT, SIGQUIT, SIGHUP, SIGTSTP] { clinux_ignore_signal(signal) }
    _ = clinux_enter_root()
}

/// close_range(2) of everything between the numbers that are needed.
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
    // Kernels before 5.9: by hand, as far as one can have come.
    for number in first...min(last, 1 << 16) { close(Int32(number)) }
}
