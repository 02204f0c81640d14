import CLinux

/// An open file descriptor, owned: closed when its owner ends, unless it is released.
/// Frozen because Embedded Swift allows `discard` in frozen types only.
@frozen public struct Descriptor: ~Copyable, Sendable {
    public let number: Int32

    /// Takes over `number`, which nobody else may close from now on.
    public init(owning number: Int32) { self.number = number }

    deinit { _ = close(number) }

    /// Gives the number away; it is not closed.
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
    /// Closes it now rather than at the end of its scope.
    consuming func release(closing: Void) {}
}

extension Optional where Wrapped == Descriptor, Wrapped: ~Copyable {
    /// The same, if there is one.
    consuming func release() {}
}
