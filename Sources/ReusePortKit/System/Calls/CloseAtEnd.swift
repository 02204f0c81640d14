import CLinux

private struct Watched {
    var pidfd: Int32
    var descriptors: [Int32]
}

/// Starts a thread that closes descriptors as soon as a process has ended.
func closeAtEnd(of pidfd: Int32, _ descriptors: [Int32]) {
    let watched = UnsafeMutablePointer<Watched>.allocate(capacity: 1)
    watched.initialize(to: Watched(pidfd: pidfd, descriptors: descriptors))
    var thread = pthread_t()
    let code = pthread_create(
        &thread, nil,
        { argument in
            let watched = argument!.assumingMemoryBound(to: Watched.self)
            var entry = pollfd(fd: watched.pointee.pidfd, events: Int16(POLLIN), revents: 0)
            while poll(&entry, 1, -1) < 1 {}
            for number in watched.pointee.descriptors { closeInPlace(number) }
            return nil
        }, watched)
    if code == 0 { pthread_detach(thread) }
}

/// Closes what a descriptor stands for, but not its number, which is its owner's to close: dup3(2) of /dev/null over
/// it.
func closeInPlace(_ number: Int32) {
    guard let null = try? open("/dev/null", O_RDONLY) else { return }
    _ = clinux_syscall(Int(SYS_dup3), Int(null.number), Int(number), Int(O_CLOEXEC), 0, 0, 0)
}
