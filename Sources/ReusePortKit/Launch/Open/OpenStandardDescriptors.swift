import CLinux

/// Opens /dev/null where the caller left 0, 1 or 2 closed. Otherwise the next socket would get that number, and a
/// client the target's messages.
func openStandardDescriptors() throws(Failure) {
    var standard = (
        pollfd(fd: 0, events: 0, revents: 0), pollfd(fd: 1, events: 0, revents: 0), pollfd(fd: 2, events: 0, revents: 0)
    )
    let closed = withUnsafeMutableBytes(of: &standard) { raw -> [Int32] in
        let entries = raw.bindMemory(to: pollfd.self)
        // One poll(2) tells which of the three are not open.
        guard poll(entries.baseAddress!, 3, 0) > 0 else { return [] }
        return entries.filter { $0.revents & Int16(POLLNVAL) != 0 }.map { $0.fd }
    }
    for number in closed {
        // open(2) takes the lowest free number, which is this one.
        let null = try step("open", "/dev/null for descriptor \(number)") { () throws(Errno) in
            try open("/dev/null", number == 0 ? O_RDONLY : O_WRONLY)
        }
        let opened = null.release()
        _ = clinux_fcntl(opened, F_SETFD, 0)
    }
}
