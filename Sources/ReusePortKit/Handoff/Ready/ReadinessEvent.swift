/// One observation of a copy that is not ready yet. A wait that fails reports the last one.
enum ReadinessEvent: Sendable, Equatable {
    // By connections to a listener, which is named: `http (127.0.0.1:80)`.
    case accepts(ByteString)
    case notListening(ByteString)
    case probeBroken(ByteString, Errno)
    case probeNotConnected(ByteString)
    /// TCP_DEFER_ACCEPT: the server wants to hear of connections that have sent something.
    case probeHeldBack(ByteString)
    case probeNotAccepted(ByteString)

    // By a request over HTTP.
    case noAnswer
    case answerFailed(Errno)
    case connectionClosed
    case notHTTP
    case answered(status: UInt64)

    /// A likely reason why the copy is not ready, in the words of a `StartHint`.
    case suspected(ByteString)
    /// Another second has passed, of so many that are allowed.
    case elapsed(seconds: UInt64, of: UInt64)

    // By a pipe.
    case noNewline(descriptor: Int32)

    // By sd_notify(3).
    case noNotification
    case status(ByteString)
    case stopping
    case failing(Errno)
    /// A message of a process that does not belong to the copy.
    case ignoredMessage(from: Int32)

    // As einhorn's workers do.
    case noAcknowledgement

    // By a command.
    case commandRuns
    case commandEnded(ProcessEnd)

    // By a Node channel.
    case silentChannel
    case otherMessages
    /// A cluster's worker asks for a listener that it was not given; both are JSON.
    case wantsListener(address: ByteString, port: ByteString)
}

extension ReadinessEvent {
    var description: ByteString {
        switch self {
        case .accepts(let listener): "\(listener) accepts"
        case .notListening(let listener): "\(listener) is not listened to"
        case .probeBroken(let listener, let errno): "the probe of \(listener) was broken: \(errno.description)"
        case .probeNotConnected(let listener): "the probe of \(listener) is not connected"
        case .probeHeldBack(let listener): "the probe of \(listener) is held back until it sends"
        case .probeNotAccepted(let listener): "the probe of \(listener) was not accepted"
        case .noAnswer: "no answer"
        case .answerFailed(let errno): "no answer: \(errno.description)"
        case .connectionClosed: "no answer: the connection was closed"
        case .notHTTP: "answered something else than HTTP"
        case .answered(let status): "answered \(status)"
        case .suspected(let text): text
        case .elapsed(let seconds, let limit): "\(seconds) s of \(limit)"
        case .noNewline(let number): "no newline came through descriptor \(number)"
        case .noNotification: "no READY=1 came"
        case .status(let text): "its status is '\(text)'"
        case .stopping: "it says that it is stopping"
        case .failing(let errno): "it says that it failed: \(errno.description)"
        case .ignoredMessage(let pid): "ignored a message from pid \(pid), which is not of the copy"
        case .noAcknowledgement: "no worker:ack came"
        case .commandRuns: "the command has not finished"
        case .commandEnded(.exited(let code)): "the command \(ProcessEnd.exited(code).description)"
        case .commandEnded(let end): "the command was \(end.description)"
        case .silentChannel: "nothing came through its channel"
        case .otherMessages: "no message said so"
        case .wantsListener(let address, let port):
            "it wants to listen on \(address) \(port), where it has no socket left"
        }
    }
}
