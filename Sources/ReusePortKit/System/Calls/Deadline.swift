import CLinux

/// The monotonic clock, which setting the time of day does not touch (CLOCK_MONOTONIC; it stands still while the
/// machine is suspended).
enum MonotonicClock {
    /// Milliseconds since some moment before the program began. Not inlined into each use of a deadline: saves 5 kB.
    static var milliseconds: UInt64 {
        @inline(never) get { microseconds / 1000 }
    }

    /// Microseconds since the same moment.
    static var microseconds: UInt64 {
        var now = timespec()
        // Fails only for a clock the kernel does not know, and it knows this one.
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1_000_000 + UInt64(now.tv_nsec) / 1000
    }
}

/// A moment by which something has to have happened, on the monotonic clock.
struct Deadline: Comparable, Hashable, Sendable {
    /// Milliseconds of `MonotonicClock`.
    let moment: UInt64

    init(moment: UInt64) { self.moment = moment }

    /// That long from now; the end of time when it is longer than can be counted.
    init(after length: Milliseconds) {
        let (sum, overflow) = MonotonicClock.milliseconds.addingReportingOverflow(length.count)
        moment = overflow ? UInt64.max : sum
    }

    static func < (left: Deadline, right: Deadline) -> Bool { left.moment < right.moment }

    /// What is left of it; nothing when it has passed.
    var remaining: Milliseconds {
        let now = MonotonicClock.milliseconds
        return Milliseconds(moment > now ? moment - now : 0)
    }

    var hasPassed: Bool { remaining.count == 0 }

    /// For poll(2) and epoll_wait(2): milliseconds as they take them. One is added, for what is left of the running
    /// millisecond must not become a busy loop.
    var pollTimeout: Int32 {
        let left = remaining.count
        return left == 0 ? 0 : Int32(min(left + 1, UInt64(Int32.max)))
    }
}

/// poll(2) of one descriptor until one of `events` has come (or it is in error or hung up): true. False when the
/// deadline has passed; without a deadline it waits for ever.
func waitForEvents(
    _ events: Int32, on descriptor: borrowing Descriptor, until deadline: Deadline?
) throws(Errno) -> Bool {
    var entry = pollfd(fd: descriptor.number, events: Int16(events), revents: 0)
    while true {
        let timeout = deadline.map { $0.pollTimeout } ?? -1
        if CLinux.poll(&entry, 1, timeout) == -1 {
            // A signal: the time that is left has to be read anew.
            let reason = Errno.current
            if reason != .interrupted { throw reason }
            continue
        }
        if entry.revents != 0 { return true }
        if let deadline, deadline.hasPassed { return false }
    }
}
