import CLinux

/// The reason why a system call failed. `Failure` adds what the program was doing.
public struct Errno: Error, Equatable, Sendable {
    /// The number, see errno(3).
    public let rawValue: Int32

    /// Wraps a number from errno(3).
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// The reason why the last call failed.
    static var current: Errno { Errno(rawValue: clinux_errno()) }

    static let accessDenied = Errno(rawValue: EACCES)
    static let addressInUse = Errno(rawValue: EADDRINUSE)
    static let addressNotAvailable = Errno(rawValue: EADDRNOTAVAIL)
    static let again = Errno(rawValue: EAGAIN)
    static let argumentListTooLong = Errno(rawValue: E2BIG)
    static let connectionRefused = Errno(rawValue: ECONNREFUSED)
    static let exists = Errno(rawValue: EEXIST)
    static let interrupted = Errno(rawValue: EINTR)
    static let invalid = Errno(rawValue: EINVAL)
    static let isDirectory = Errno(rawValue: EISDIR)
    static let loop = Errno(rawValue: ELOOP)
    static let noEntry = Errno(rawValue: ENOENT)
    static let noExec = Errno(rawValue: ENOEXEC)
    static let noProcess = Errno(rawValue: ESRCH)
    static let notDirectory = Errno(rawValue: ENOTDIR)
    static let notPermitted = Errno(rawValue: EPERM)
    static let processLimit = Errno(rawValue: EMFILE)
    static let timedOut = Errno(rawValue: ETIMEDOUT)
    static let systemLimit = Errno(rawValue: ENFILE)
    static let familyNotSupported = Errno(rawValue: EAFNOSUPPORT)
    static let badDescriptor = Errno(rawValue: EBADF)
    static let busy = Errno(rawValue: EBUSY)

    /// The text of strerror(3), beginning in lower case.
    public var description: ByteString {
        guard let text = strerror(rawValue) else { return "error \(rawValue)" }
        var words = ByteString(cString: text)
        if let first = words.bytes.first, first >= UInt8(ascii: "A"), first <= UInt8(ascii: "Z"),
            words.count > 1, words.bytes[1] >= UInt8(ascii: "a")
        {
            words.bytes[0] = first + 32
        }
        return words
    }
}

/// Throws `Errno.current` if a call returned -1; otherwise returns its result.
@discardableResult
func checked<Number: SignedInteger>(_ result: Number) throws(Errno) -> Number {
    if result == -1 { throw .current }
    return result
}

/// Repeats a call while signals interrupt it; throws if it fails for another reason.
@discardableResult
func uninterrupted<Number: SignedInteger>(_ call: () -> Number) throws(Errno) -> Number {
    while true {
        let result = call()
        if result != -1 { return result }
        let reason = Errno.current
        if reason != .interrupted { throw reason }
    }
}

/// Returns the error of a call that is made to see whether it fails; nil if it succeeds.
func reason(_ call: () throws(Errno) -> Void) -> Errno? {
    do throws(Errno) {
        try call()
        return nil
    } catch {
        return error
    }
}
