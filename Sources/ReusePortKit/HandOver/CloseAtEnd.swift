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
            for number in watched.pointee.descriptors { close(number) }
            return nil
        }, watched)
    if code == 0 { pthread_detach(thread) }
}
