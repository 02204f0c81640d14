import CLinux

/// Waits between polls of a state for which the kernel offers no event: 1, 2, 4 … 50 ms.
struct Pause {
    private(set) var length = Milliseconds(1)

    mutating func lengthen() { length = Milliseconds(min(50, length.count * 2)) }

    /// Sleeps for `length`, but not beyond the deadline.
    @inline(never)
    mutating func wait(until deadline: Deadline) {
        _ = poll(nil, 0, Int32(min(length, deadline.remaining).count))
        lengthen()
    }
}
