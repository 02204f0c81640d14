/// Why a wait ended before the copy was ready.
enum NotReady: Error {
    /// It has ended; nil: nobody can tell how.
    case ended(ProcessEnd?)
    /// The deadline has passed, that long after the wait began.
    case late(after: Milliseconds, seen: ReadinessEvent?)
    /// Something more urgent has happened: `ReadinessCheck.interruption`.
    case interrupted(seen: ReadinessEvent?)
    /// A step of the wait has failed.
    case failed(Failure)

    var description: ByteString {
        switch self {
        case .failed(let failure): EndReason(failure).detail
        case .ended(let end): (end == .exited(0) ? EndReason(.background) : EndReason(end)).description
        case .late(let time, let seen): "not ready after \(rounded(time)): \(seen?.description ?? "")"
        case .interrupted(let seen): "not ready yet: \(seen?.description ?? "")"
        }
    }
}

/// `60 s`: rounded, because a moment has passed since the deadline was set.
private func rounded(_ length: Milliseconds) -> ByteString {
    length.count < 1900 ? "\(length.count) ms" : "\((length.count + 500) / 1000) s"
}

/// Runs a step of the wait. If its system call fails, the copy is not ready.
@inline(__always)
func orNotReady<Result: ~Copyable>(
    _ verb: StaticString, _ object: ByteString, _ body: () throws(Errno) -> Result
) throws(NotReady) -> Result {
    do throws(Errno) {
        return try body()
    } catch {
        throw .failed(Failure(verb, object, error))
    }
}

/// Makes the caller's connection. If that fails, the copy is not ready.
@inline(__always)
func orNotReady(_ connect: () throws(Failure) -> Descriptor) throws(NotReady) -> Descriptor {
    do throws(Failure) {
        return try connect()
    } catch {
        throw .failed(error)
    }
}
