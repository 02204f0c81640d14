/// What happens while copies are stopped.
enum StopEvent: Sendable, Equatable {
    case told(NamedProcess, StopRequest)
    /// A process that it had started, and that holds its listeners, was sent the stop signal.
    case handedOn(NamedProcess, of: NamedProcess, Int32)
    /// These listeners were shut for processes that it had left them to.
    case tookAway(NamedProcess, [ListenerLabel], from: [NamedProcess])
    /// Its Node channel cannot be used, so it gets its stop signal instead.
    case channelFailed(NamedProcess, Errno)
    case keepsNiceValue(NamedProcess, Errno)
    case keepsMemoryScore(NamedProcess, Errno)
    /// Its supervisor could not be told, with the message of the `Failure`. It is harmless if another process is its parent
    /// by now.
    case supervisorNotTold(ByteString, isHarmless: Bool)
    case killing(NamedProcess, KillReason)
    case killingDescendant(NamedProcess, of: NamedProcess, [ListenerLabel])
    /// Processes that it had started had inherited these listeners and never used them, so they were shut.
    case shutForgotten(NamedProcess, [ListenerLabel])
    case refused(StopRefusal)
    /// The stop signal ended it at once, while that many connections waited for an answer.
    case endedUnanswered(NamedProcess, Int32, Int)

    /// Whether this is reported to every user. The rest is for `--debug`.
    var isWarning: Bool {
        switch self {
        case .told, .handedOn, .keepsNiceValue, .keepsMemoryScore, .shutForgotten: false
        case .channelFailed, .killing, .killingDescendant, .tookAway, .refused, .endedUnanswered: true
        case .supervisorNotTold(_, let isHarmless): !isHarmless
        }
    }

    var description: ByteString {
        switch self {
        case .told(let copy, let request): "\(request.description) to \(copy.description)"
        case .handedOn(let process, let copy, let signal):
            "\(signalName(signal)) to \(process.description), started by \(copy.description)"
        case .tookAway(let copy, let listeners, let others):
            "closing \(described(listeners)), which \(copy.description) has left to \(described(others))"
        case .channelFailed(let copy, let errno):
            "\(copy.description) gets its stop signal, for its Node channel cannot be used: \(denied(errno, .ptrace))"
        case .keepsNiceValue(let copy, let errno): "\(copy.description) keeps its nice value: \(errno.description)"
        case .keepsMemoryScore(let copy, let errno):
            "\(copy.description) keeps its oom_score_adj: \(errno.description)"
        case .supervisorNotTold(let message, _): message
        case .killing(let copy, let reason): "killing \(copy.description): \(reason.description)"
        case .killingDescendant(let process, let copy, let listeners):
            """
            killing \(process.description), started by \(copy.description): it still \
            \(listeners.isEmpty ? "runs" : "listened on \(described(listeners))")
            """
        case .shutForgotten(let copy, let listeners):
            "\(copy.description) has closed \(described(listeners)); what it has started, and that never used it, had it still"
        case .refused(let refusal): refusal.description
        case .endedUnanswered(let copy, let signal, let count):
            """
            \(signalName(signal)) ended \(copy.description) at once, with \(count) of its connections waiting for an answer: \
            use --drain TIME, or finish them in a handler
            """
        }
    }
}
