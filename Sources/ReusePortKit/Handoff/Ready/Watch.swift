import CLinux

/// Waits, for every form of readiness, for its own event, the copy's end, the deadline or an interruption.
struct Watch {
    /// The last event, for the message when the deadline passes.
    private(set) var seen: ReadinessEvent?
    private let report: (ReadinessEvent) -> Void
    private let pidfd: Int32
    private let interruption: Int32?
    /// Reads what comes through the copy's Node channel meanwhile.
    private let reader: ChannelReader?
    private let deadline: Deadline
    private let allowed: Milliseconds
    private let began: UInt64

    init(_ check: ReadinessCheck, of copy: borrowing ProcessHandle, reader: ChannelReader? = nil) {
        report = check.report
        pidfd = copy.descriptor.number
        interruption = check.interruption
        self.reader = reader
        deadline = check.deadline
        allowed = check.allowed ?? deadline.remaining
        began = deadline.moment - allowed.count
    }

    /// The full seconds of the wait.
    private var elapsed: UInt64 { (MonotonicClock.milliseconds - began) / 1000 }

    /// Reports what is seen, unless it is the same as before.
    @inline(never)
    mutating func see(_ event: ReadinessEvent) {
        if event != seen { report(event) }
        seen = event
    }

    /// Sets the event for the message if nothing else is seen.
    mutating func expect(_ event: ReadinessEvent) { seen = event }

    /// Reports an event that does not explain why the copy is not ready.
    func mention(_ event: ReadinessEvent) { report(event) }

    /// poll(2): true once one of `events` has come on the descriptor (or it is in error or hung up), false after
    /// `pause`, in milliseconds.
    @inline(never)
    func wait(
        for events: Int32 = 0, on descriptor: Int32? = nil, atMost pause: UInt64? = nil
    ) throws(NotReady) -> Bool {
        // poll(2) passes over negative descriptors.
        let end = pause.map { Deadline(after: Milliseconds($0)) }
        var entries = (
            pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0),
            pollfd(fd: descriptor ?? -1, events: Int16(events), revents: 0),
            pollfd(fd: interruption ?? -1, events: Int16(POLLIN), revents: 0),
            pollfd(fd: -1, events: Int16(POLLIN), revents: 0)
        )
        while true {
            entries.3.fd = reader.map { $0.isClosed ? -1 : $0.number } ?? -1
            let seconds = elapsed
            var timeout = min(deadline, Deadline(moment: began + (seconds + 1) * 1000))
            if let end { timeout = min(end, timeout) }
            let count = withUnsafeMutableBytes(of: &entries) { raw in
                CLinux.poll(raw.baseAddress!.assumingMemoryBound(to: pollfd.self), 4, timeout.pollTimeout)
            }
            if count == -1 {
                let errno = Errno.current
                if errno != .interrupted { throw .failed(Failure("wait for", "events", errno)) }
                continue
            }
            if elapsed != seconds { report(.elapsed(seconds: elapsed, of: allowed.count / 1000)) }
            if entries.0.revents != 0 { throw .ended(nil) }
            if entries.2.revents != 0 { throw .interrupted(seen: seen) }
            if entries.3.revents != 0 { reader?.read() }
            // The deadline goes before events: a program that sends without end must not stop the clock.
            if deadline.hasPassed { throw .late(after: allowed, seen: seen) }
            if entries.1.revents != 0 { return true }
            if let end, end.hasPassed { return false }
        }
    }
}
