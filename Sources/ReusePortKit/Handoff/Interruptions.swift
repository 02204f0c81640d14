import CLinux

/// Tells a command that waits for its copies when one of them has ended, or when a signal asks it to stop: one
/// descriptor becomes readable for any of these.
struct Interruptions: ~Copyable {
    private let poll: Descriptor
    private let signals: Descriptor

    /// Blocks INT, TERM, HUP and QUIT, which would leave a generation half started.
    init() throws(Errno) {
        let poll = Descriptor(owning: try checked(epoll_create1(Int32(EPOLL_CLOEXEC))))
        var set = sigset_t()
        sigemptyset(&set)
        // Signals that are ignored, by nohup(1) or in the background of a script, stay so; signalfd(2) would get them.
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] where clinux_signal_is_ignored(signal) == 0 {
            sigaddset(&set, signal)
        }
        let signals = Descriptor(
            owning: try checked(signalfd(-1, &set, Int32(SFD_CLOEXEC | SFD_NONBLOCK))))
        try checked(clinux_epoll_add(poll.number, signals.number))
        sigprocmask(SIG_BLOCK, &set, nil)
        self.poll = poll
        self.signals = signals
    }

    var number: Int32 { poll.number }
    /// Becomes readable for signals alone.
    var signalsNumber: Int32 { signals.number }

    /// Returns at the deadline, or as soon as it has become readable.
    func wait(until deadline: Deadline) { _ = try? waitForEvents(POLLIN, on: poll, until: deadline) }

    func watch(_ process: borrowing ProcessHandle) throws(Errno) {
        try checked(clinux_epoll_add(poll.number, process.descriptor.number))
    }

    /// The signal that has come, if one has.
    func received() -> Int32? {
        var info = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        guard read(signals.number, &info, size) == size else { return nil }
        return Int32(info.ssi_signo)
    }
}
