/// What became of a copy that was told to stop.
enum StopOutcome: Sendable, Equatable {
    /// It had ended before anything was done; its listeners have gone too.
    case alreadyGone
    /// It has ended by itself, and its listeners have gone.
    case exited
    /// Its listeners have gone; it is still finishing what it has accepted.
    case retired
    /// It had to be killed. It and its listeners have gone.
    case killed(KillReason)
    /// It, or one of its listeners, is still there.
    case refused(StopRefusal)
}

/// Why a copy could not be stopped.
struct StopRefusal: Sendable, Equatable {
    let copy: NamedProcess
    let why: Why

    enum Why: Sendable, Equatable {
        case cannotBeWatched(Errno)
        /// Its supervisor, which would start it again, could not be told: the message of the `Failure`.
        case supervisorNotTold(ByteString)
        case cannotBeSent(signal: Int32, Errno)
        case cannotBeKilled(Errno, KillReason)
        /// It is still there that long after KILL.
        case stillRuns(after: Milliseconds)
        /// Somebody holds these listeners that long after KILL.
        case stillListening([ListenerLabel], after: Milliseconds)
        /// It has done its part, but processes that it did not start hold these listeners. `others` is empty if they
        /// cannot be seen.
        case othersListen([ListenerLabel], others: [NamedProcess], hasEnded: Bool)
    }
}

extension StopRefusal {
    var description: ByteString {
        let name = copy.description
        switch why {
        case .cannotBeWatched(let errno): return "\(name) cannot be watched: \(errno.description)"
        case .supervisorNotTold(let message):
            return "\(name) is left running, or it would be started again: \(message)"
        case .cannotBeSent(let signal, let errno):
            return "\(name) takes no \(signalName(signal)): \(errno.description)"
        case .cannotBeKilled(let errno, let reason):
            return "\(name) cannot be killed: \(errno.description); \(reason.description)"
        case .stillRuns(let time): return "\(name) still runs \(time.description) after KILL"
        case .stillListening(let listeners, let time):
            return "somebody still listens on \(described(listeners)) \(time.description) after KILL"
        case .othersListen(let listeners, let others, let hasEnded):
            let who = others.isEmpty ? "a process that cannot be seen" : joined(others.map { $0.description }, by: ", ")
            let what: ByteString = hasEnded ? "ended" : "stopped listening"
            return "\(name) has \(what), but \(who) still listens on \(described(listeners))"
        }
    }
}
