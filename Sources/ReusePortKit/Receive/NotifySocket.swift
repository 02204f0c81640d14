import CLinux

/// The socket on which the program that started a server waits for it, named by NOTIFY_SOCKET: reuseport-exec with
/// `--ready notify`, and systemd with `Type=notify`. See sd_notify(3).
///
/// ```swift
/// try NotifySocket()?.tellReady()
/// ```
public struct NotifySocket: Sendable {
    /// A path, or an abstract name after an @.
    private let address: ByteString

    /// Finds the socket; nil if nobody waits. The variable stays, because the server may use it again.
    public init?() {
        guard let address = notifySocket() else { return nil }
        self.address = address
    }

    /// Says that the server is ready. With `--ready notify` that is the moment when it may take over.
    ///
    /// - Parameter status: A line about the state, for people. The launcher shows it if the server is not ready in time.
    /// - Throws: `Failure` if nobody listens at the socket.
    public func tellReady(status: ByteString? = nil) throws(Failure) {
        var message: ByteString = "READY=1\n"
        if let status { message.append("STATUS=\(status)\n") }
        try tell(message)
    }

    /// Says that the server is about to end.
    ///
    /// - Throws: `Failure` if nobody listens at the socket.
    public func tellStopping() throws(Failure) { try tell("STOPPING=1\n") }

    private func tell(_ message: ByteString) throws(Failure) {
        if let errno = send(message, to: address, as: getpid()) {
            throw Failure("notify", "NOTIFY_SOCKET=\(address)", errno)
        }
    }
}
