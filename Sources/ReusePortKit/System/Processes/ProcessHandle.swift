import CLinux

/// A reference to one process (pidfd_open(2), Linux 5.3): signals sent through it never reach another process that gets
/// its number later.
struct ProcessHandle: ~Copyable, Sendable {
    let identity: ProcessIdentity
    /// The pidfd; readable once the process has ended.
    let descriptor: Descriptor

    /// Refers to the process that has the number now. ESRCH if it ends before its identity has been read.
    init(to pid: Int32, in proc: ProcFileSystem = ProcFileSystem()) throws(Errno) {
        let descriptor = try openPidfd(pid)
        let identity = try ProcessIdentity(of: pid, in: proc)
        // If the process still exists now, be it as a zombie, its number was still its own when the identity was read.
        // EPERM also means that it exists.
        do throws(Errno) {
            try sendSignal(0, through: descriptor)
        } catch .notPermitted {
        }
        self.descriptor = descriptor
        self.identity = identity
    }

    /// Refers to exactly this process; ESRCH if another one has its number.
    @inline(never)
    init(to identity: ProcessIdentity, in proc: ProcFileSystem = ProcFileSystem()) throws(Errno) {
        let descriptor = try openPidfd(identity.pid)
        // The pidfd is opened first. A process that has this identity afterwards had the number also before, so the
        // pidfd is that process's.
        guard try ProcessIdentity(of: identity.pid, in: proc) == identity else { throw .noProcess }
        self.descriptor = descriptor
        self.identity = identity
    }

    /// pidfd_send_signal(2). ESRCH once the process has ended and its parent knows.
    borrowing func signal(_ number: Int32) throws(Errno) { try sendSignal(number, through: descriptor) }

    /// Waits until all threads of the process have ended. Returns false when the deadline passes first; nil waits
    /// without limit.
    borrowing func waitForExit(until deadline: Deadline?) throws(Errno) -> Bool {
        try waitForEvents(POLLIN, on: descriptor, until: deadline)
    }

    /// Whether the process has ended.
    @inline(never)
    var hasExited: Bool {
        borrowing get {
            var entry = pollfd(fd: descriptor.number, events: Int16(POLLIN), revents: 0)
            return CLinux.poll(&entry, 1, 0) == 1
        }
    }

    /// pidfd_getfd(2), Linux 5.6: duplicates a descriptor of the process, close-on-exec. EPERM unless the caller may
    /// trace the process: it has the caller's uids and is dumpable, or the caller has CAP_SYS_PTRACE.
    borrowing func borrowDescriptor(_ number: Int32) throws(Errno) -> Descriptor {
        let result = clinux_syscall(Int(CLINUX_SYS_pidfd_getfd), Int(descriptor.number), Int(number), 0, 0, 0, 0)
        return Descriptor(owning: Int32(try checked(result)))
    }
}

/// pidfd_open(2); the descriptor is close-on-exec.
@inline(never)
func openPidfd(_ pid: Int32) throws(Errno) -> Descriptor {
    let result = clinux_syscall(Int(CLINUX_SYS_pidfd_open), Int(pid), 0, 0, 0, 0, 0)
    return Descriptor(owning: Int32(try checked(result)))
}

/// pidfd_send_signal(2), Linux 5.1; signal 0 only checks whether a signal could be sent.
@inline(never)
func sendSignal(_ number: Int32, through pidfd: borrowing Descriptor) throws(Errno) {
    try checked(clinux_syscall(Int(CLINUX_SYS_pidfd_send_signal), Int(pidfd.number), Int(number), 0, 0, 0, 0))
}
