import CLinux

/// CLOCK_MONOTONIC: setting the time of day does not change it, and it stops while the machine is suspended.
enum MonotonicClock {
    /// Milliseconds since some moment before the program began. Not inlined into each use of a deadline: saves 5 kB.
    static var milliseconds: UInt64 {
        @inline(never) get { microseconds / 1000 }
    }

    /// Microseconds since the same moment.
    static var microseconds: UInt64 {
        var now = timespec()
        // Cannot fail: every kernel has this clock.
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1_000_000 + UInt64(now.tv_nsec) / 1000
    }
}

/// A moment on the monotonic clock by which something must have happened.
struct Deadline: Comparable, Hashable, Sendable {
    /// Milliseconds of `MonotonicClock`.
    let moment: UInt64
}

extension Deadline {
    /// That long from now, or never if that cannot be represented. Not inlined: saves 2 kB.
    @inline(never)
    init(after length: Milliseconds) {
        let (sum, overflow) = MonotonicClock.milliseconds.addingReportingOverflow(length.count)
        moment = overflow ? UInt64.max : sum
    }

    static func < (left: Deadline, right: Deadline) -> Bool { left.moment < right.moment }

    /// The time that is left; 0 when the deadline has passed.
    var remaining: Milliseconds {
        let now = MonotonicClock.milliseconds
        return Milliseconds(moment > now ? moment - now : 0)
    }

    var hasPassed: Bool { remaining.count == 0 }

    /// The timeout for poll(2) and epoll_wait(2). Adds a millisecond, because rounding down would poll in a busy loop
    /// during the last one.
    @inline(never)
    var pollTimeout: Int32 {
        let left = remaining.count
        return left == 0 ? 0 : Int32(min(left + 1, UInt64(Int32.max)))
    }
}

/// Waits with poll(2) until one of `events` (or an error, or a hangup) occurs on a descriptor. Returns false when the
/// deadline passes first; nil waits without limit.
@inline(never)
func waitForEvents(
    _ events: Int32, on descriptor: borrowing Descriptor, until deadline: Deadline?
) throws(Errno) -> Bool {
    var entry = pollfd(fd: descriptor.number, events: Int16(events), revents: 0)
    while true {
        let timeout = deadline.map { $0.pollTimeout } ?? -1
        if CLinux.poll(&entry, 1, timeout) == -1 {
            // A signal came: tries again with the time that is left now.
            let reason = Errno.current
            if reason != .interrupted { throw reason }
            continue
        }
        if entry.revents != 0 { return true }
        if let deadline, deadline.hasPassed { return false }
    }
}
