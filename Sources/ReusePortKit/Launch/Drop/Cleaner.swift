import CLinux

/// A thread that keeps the caller's rights while this process gives them up, to remove `Leftovers` if the exec fails.
///
/// After the drop this process may no longer unlink a Unix socket in a directory of root's. Credentials belong to
/// threads (the C library only makes them look like the process's), and execve(2) ends all threads but its caller. So
/// this thread can clean up after a failure, and ends with a success, without a process that somebody has to wait for.
struct Cleaner: ~Copyable {
    private let thread: pthread_t
    private let work: UnsafeMutablePointer<Work>

    private struct Work: ~Copyable {
        var leftovers: Leftovers
        var order = pthread_mutex_t()
    }

    /// Starts the thread, which waits for `cleanUp`.
    init(_ leftovers: consuming Leftovers) throws(Failure) {
        work = UnsafeMutablePointer<Work>.allocate(capacity: 1)
        work.initialize(to: Work(leftovers: leftovers))
        pthread_mutex_init(&work.pointee.order, nil)
        pthread_mutex_lock(&work.pointee.order)
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                let work = argument!.assumingMemoryBound(to: Work.self)
                pthread_mutex_lock(&work.pointee.order)
                work.pointee.leftovers.remove()
                return nil
            }, work)
        self.thread = thread
        if code != 0 {
            work.pointee.leftovers.remove()
            throw Failure("start", "the thread that cleans up", Errno(rawValue: code))
        }
    }

    /// Lets the thread remove the names, and waits until it has.
    consuming func cleanUp() {
        pthread_mutex_unlock(&work.pointee.order)
        pthread_join(thread, nil)
    }
}
