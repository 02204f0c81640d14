import CLinux

/// A hold on one process: no signal through it reaches another that got the number later (pidfd_open(2), Linux 5.3).
///
/// The exit status of a process that is not our child cannot be had: only its parent is told. All that can be learnt
/// is that it has ended.
struct ProcessHandle: ~Copyable, Sendable {
    let identity: ProcessIdentity
    /// The pidfd; readable once the process has ended.
    let descriptor: Descriptor

    /// Whoever has the number now. The identity is read after the handle has been opened, and is that of the same
    /// process: if it has ended in between, this fails with ESRCH.
    init(to pid: Int32, in proc: ProcFileSystem = ProcFileSystem()) throws(Errno) {
        let descriptor = try openPidfd(pid)
        let identity = try ProcessIdentity(of: pid, in: proc)
        // Still there now (as a zombie at least) means that the number was not free, and so not another's, when the
        // identity was read. That it may not be sent signals by us says the same.
        do throws(Errno) {
            try sendSignal(0, through: descriptor)
        } catch .notPermitted {
        }
        self.descriptor = descriptor
        self.identity = identity
    }

    /// This very process: ESRCH if its number is another's by now.
    init(to identity: ProcessIdentity, in proc: ProcFileSystem = ProcFileSystem()) throws(Errno) {
        let descriptor = try openPidfd(identity.pid)
        // Opened first, so that it stands for the process whose identity is read if that is the one it should be: a
        // process that has this identity now has had the number ever since it started.
        guard try ProcessIdentity(of: identity.pid, in: proc) == identity else { throw .noProcess }
        self.descriptor = descriptor
        self.identity = identity
    }

    /// pidfd_send_signal(2). ESRCH once the process has ended and its parent knows.
    borrowing func signal(_ number: Int32) throws(Errno) { try sendSignal(number, through: descriptor) }

    /// True as soon as the process has ended (all its threads; its parent may not know yet), false when the deadline
    /// passes first. Without a deadline it waits for ever.
    borrowing func waitForExit(until deadline: Deadline?) throws(Errno) -> Bool {
        try waitForEvents(POLLIN, on: descriptor, until: deadline)
    }

    /// Whether it has ended.
    var hasExited: Bool {
        borrowing get {
            var entry = pollfd(fd: descriptor.number, events: Int16(POLLIN), revents: 0)
            return CLinux.poll(&entry, 1, 0) == 1
        }
    }

    /// pidfd_getfd(2), Linux 5.6: a copy of the process's descriptor, of the same open file, close-on-exec. EPERM
    /// unless we may trace the process: its uids are ours and it is dumpable, or we have CAP_SYS_PTRACE.
    borrowing func borrowDescriptor(_ number: Int32) throws(Errno) -> Descriptor {
        let result = clinux_syscall(Int(CLINUX_SYS_pidfd_getfd), Int(descriptor.number), Int(number), 0, 0, 0, 0)
        return Descriptor(owning: Int32(try checked(result)))
    }
}

/// pidfd_open(2); the descriptor is close-on-exec.
func openPidfd(_ pid: Int32) throws(Errno) -> Descriptor {
    let result = clinux_syscall(Int(CLINUX_SYS_pidfd_open), Int(pid), 0, 0, 0, 0, 0)
    return Descriptor(owning: Int32(try checked(result)))
}

/// pidfd_send_signal(2), Linux 5.1; signal 0 only asks whether one could be sent.
private func sendSignal(_ number: Int32, through pidfd: borrowing Descriptor) throws(Errno) {
    try checked(clinux_syscall(Int(CLINUX_SYS_pidfd_send_signal), Int(pidfd.number), Int(number), 0, 0, 0, 0))
}
