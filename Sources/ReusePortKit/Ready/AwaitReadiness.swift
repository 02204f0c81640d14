import CLinux

/// Waits until the copy is ready; a failure says why it is not: it has ended (noticed at once), or the deadline has
/// passed, with what was seen last.
///
/// `connect` gives a private, non-blocking stream connection, made or being made, to a listener of exactly this copy,
/// by its index in `listeners`. It may be called again for each attempt; what it throws is final.
///
/// The caller need not be the copy's parent. For `fd:N` it must not hold the pipe's write end.
public func awaitReadiness(
    _ readiness: Readiness, channel: borrowing ReadinessChannel, of copy: borrowing ProcessHandle,
    listeners: [ListenerIdentity], until deadline: Deadline, connect: (Int) throws(Failure) -> Descriptor, log: Log
) throws(Failure) {
    // TODO
}
