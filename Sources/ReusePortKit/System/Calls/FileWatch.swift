import CLinux

/// Tells when something in an app's folder has been replaced (inotify(7)).
struct Changes: ~Copyable {
    private let descriptor: Descriptor

    init(in path: ByteString) throws(Errno) { try self.init(in: [path], IN_MOVED_TO | IN_DELETE_SELF) }

    init(in paths: [ByteString], _ events: Int32) throws(Errno) {
        let descriptor = Descriptor(owning: try checked(inotify_init1(Int32(IN_CLOEXEC) | Int32(IN_NONBLOCK))))
        let number = descriptor.number
        for path in paths {
            try path.withCString { path throws(Errno) in
                try checked(inotify_add_watch(number, path, UInt32(events)))
            }
        }
        self.descriptor = descriptor
    }

    /// Returns when there may be something new to see, when the process has ended, or at the deadline.
    func wait(or process: borrowing ProcessHandle, until deadline: Deadline) {
        wait(process.descriptor.number, deadline)
    }

    func wait(until deadline: Deadline) { wait(-1, deadline) }

    /// Or when something else is readable.
    func wait(for other: Int32, until deadline: Deadline) { wait(other, deadline) }

    private func wait(_ other: Int32, _ deadline: Deadline) {
        var entries = (
            pollfd(fd: descriptor.number, events: Int16(POLLIN), revents: 0),
            pollfd(fd: other, events: Int16(POLLIN), revents: 0)
        )
        withUnsafeMutableBytes(of: &entries) { raw in
            _ = poll(raw.bindMemory(to: pollfd.self).baseAddress, 2, deadline.pollTimeout)
        }
        // What they were does not matter: everything is read again.
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer in
            while read(descriptor.number, buffer.baseAddress, 4096) > 0 {}
        }
    }
}
