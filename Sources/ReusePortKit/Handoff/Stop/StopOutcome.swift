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

extension StopOutcome {
    /// Whether it did not stop because it was told to.
    var isForced: Bool { self != .exited && self != .retired }
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
        /// These processes hold these listeners, again and again, that long after KILL. None if they cannot be seen.
        case stillListening([ListenerLabel], by: [NamedProcess], after: Milliseconds)
        /// It has done its part, but others hold these listeners, from whom they cannot be taken. `others` is empty if they
        /// cannot be seen. The last are what this process lacks.
        case othersListen([ListenerLabel], others: [NamedProcess], hasEnded: Bool, Capabilities)
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
            return "\(name) takes no \(signalName(signal)): \(denied(errno, .kill))"
        case .cannotBeKilled(let errno, let reason):
            return "\(name) cannot be killed: \(denied(errno, .kill)); \(reason.description)"
        case .stillRuns(let time): return "\(name) still runs \(time.description) after KILL"
        case .stillListening(let listeners, let holders, let time):
            return
                "\(described(holders)) still listens on \(described(listeners)) of \(name) \(time.description) after KILL"
        case .othersListen(let listeners, let others, let hasEnded, let lacks):
            let what: ByteString = hasEnded ? "ended" : "stopped listening"
            return
                "\(name) has \(what), but \(described(others)) still listens on \(described(listeners))\(lacks.remedy)"
        }
    }
}

/// `pid 12 (node), pid 13 (node)`
func described(_ holders: [NamedProcess]) -> ByteString {
    holders.isEmpty ? "the kernel or a process that cannot be seen" : joined(holders.map { $0.description }, by: ", ")
}

/// An error, with the capability that would have avoided it.
func denied(_ errno: Errno, _ capability: Capabilities) -> ByteString {
    errno == .notPermitted ? "\(errno.description)\(capability.remedy)" : errno.description
}
