import CLinux

/// Where copies wait until they are registered. If the command ends before, none of them gets through.
///
/// It opens by an event and not by writing to a pipe: a pipe wakes the copies one by one, each on the command's processor
/// and behind the command.
struct Barrier: ~Copyable {
    private let event: Descriptor
    /// Hangs up when the command ends.
    private let life: PipeEnds

    init() throws(Errno) {
        let event = Descriptor(owning: try checked(eventfd(0, Int32(EFD_CLOEXEC))))
        life = try PipeEnds()
        self.event = event
    }

    /// Lets all copies through.
    func open() { eventfd_write(event.number, 1) }

    /// Waits in a copy; false if the command has ended. Closes the copy's own writing end, which would hide that end.
    func pass() -> Bool {
        close(life.writer.number)
        var entries = (
            pollfd(fd: event.number, events: Int16(POLLIN), revents: 0),
            pollfd(fd: life.reader.number, events: 0, revents: 0)
        )
        while true {
            let count = withUnsafeMutableBytes(of: &entries) { raw in
                poll(raw.baseAddress!.assumingMemoryBound(to: pollfd.self), 2, -1)
            }
            if count == -1, Errno.current == .interrupted { continue }
            return entries.0.revents != 0
        }
    }
}
