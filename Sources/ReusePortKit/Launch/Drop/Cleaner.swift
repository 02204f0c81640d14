import CLinux

/// A thread that keeps the caller's rights while the others give them up, to remove what was made if the exec fails.
///
/// After the drop this process may no longer unlink a Unix socket in a directory of root's. Credentials belong to
/// threads (the C library only makes them look like the process's), and execve(2) ends all threads but its caller: so
/// the one that keeps its rights can clean up after a failure, and is gone with the success, without another process
/// that somebody would have to wait for.
struct Cleaner: ~Copyable {
    private let thread: pthread_t
    private let work: UnsafeMutablePointer<Work>

    private struct Work: ~Copyable {
        var leftovers: Leftovers
        var order = pthread_mutex_t()
    }

    /// Starts the thread; it waits.
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

    /// Has the names removed, and waits for it.
    consuming func cleanUp() {
        pthread_mutex_unlock(&work.pointee.order)
        pthread_join(thread, nil)
    }
}
