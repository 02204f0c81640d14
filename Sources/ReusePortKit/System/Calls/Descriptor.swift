import CLinux

/// Owns an open file descriptor: closes it at the end of its lifetime, unless it is released.
/// Frozen because Embedded Swift allows `discard` in frozen types only.
@frozen public struct Descriptor: ~Copyable, Sendable {
    public let number: Int32

    /// Takes ownership of `number`; nothing else may close it from now on.
    public init(owning number: Int32) { self.number = number }

    deinit { _ = close(number) }

    /// Gives up ownership without closing; returns the number.
    public consuming func release() -> Int32 {
        let number = self.number
        discard self
        return number
    }

    /// fcntl(2) with F_DUPFD_CLOEXEC: a copy at `lowest` or above.
    public borrowing func duplicate(from lowest: Int32 = 3) throws(Errno) -> Descriptor {
        Descriptor(owning: try checked(clinux_fcntl(number, F_DUPFD_CLOEXEC, Int(lowest))))
    }
}

extension Descriptor {
    /// Closes the descriptor now, not at the end of its scope.
    consuming func release(closing: Void) {}
}

extension Optional where Wrapped == Descriptor, Wrapped: ~Copyable {
    /// Closes the descriptor now, if there is one.
    consuming func release() {}
}
