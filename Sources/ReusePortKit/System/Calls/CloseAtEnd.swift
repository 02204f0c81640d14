import CLinux

private struct Watched {
    var pidfd: Int32
    var descriptors: [Int32]
}

/// Starts a thread that waits for the end of a process and then closes descriptors.
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

/// Closes an open file but keeps its descriptor's number in use, because the number's owner closes that later: puts
/// /dev/null in its place with dup3(2).
@inline(never)
func closeInPlace(_ number: Int32) {
    guard let null = try? open("/dev/null", O_RDONLY) else { return }
    _ = clinux_syscall(Int(SYS_dup3), Int(null.number), Int(number), Int(O_CLOEXEC), 0, 0, 0)
}
