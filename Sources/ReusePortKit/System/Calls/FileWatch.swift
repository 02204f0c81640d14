import CLinux

/// Waits for changes in directories with inotify(7).
struct FileWatch: ~Copyable {
    private let descriptor: Descriptor

    @inline(never)
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

    /// Waits for a change, the end of a process, or the deadline.
    func wait(or process: borrowing ProcessHandle, until deadline: Deadline) {
        wait(process.descriptor.number, deadline)
    }

    func wait(until deadline: Deadline) { wait(-1, deadline) }

    /// Waits for a change, until a descriptor is readable, or the deadline.
    func wait(for other: Int32, until deadline: Deadline) { wait(other, deadline) }

    private func wait(_ other: Int32, _ deadline: Deadline) {
        var entries = (
            pollfd(fd: descriptor.number, events: Int16(POLLIN), revents: 0),
            pollfd(fd: other, events: Int16(POLLIN), revents: 0)
        )
        withUnsafeMutableBytes(of: &entries) { raw in
            _ = poll(raw.bindMemory(to: pollfd.self).baseAddress, 2, deadline.pollTimeout)
        }
        // Discards the events: callers read everything again.
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer in
            while read(descriptor.number, buffer.baseAddress, 4096) > 0 {}
        }
    }
}
