/// How far a copy has come on its way to its end.
///
/// Its end is that of its process and of its listeners, whoever holds them: its heirs are processes that it has started,
/// or that are in its control group, or its user's, and that hold one of them.
enum StopState {
    /// It runs, and has not been asked to stop yet: supervisors are told first.
    case notAsked
    /// It had ended before anything was done; other processes may hold its listeners.
    case foundEnded
    /// It was sent a stop message or the stop signal, and has until the deadline to close its listeners.
    case asked(until: Deadline)
    /// Its listeners were taken away, and it, or its heirs, were sent KILL. The reason is nil while the copy runs on.
    case revoking(KillReason?, until: Deadline)
    case finished(StopOutcome)

    /// The moment at which the next step is due if nothing happens; nil once it is finished.
    var deadline: Deadline? {
        switch self {
        case .notAsked, .foundEnded: Deadline(moment: 0)
        case .asked(let deadline), .revoking(_, let deadline): deadline
        case .finished: nil
        }
    }

    var outcome: StopOutcome? { if case .finished(let outcome) = self { outcome } else { nil } }
}

/// What the kernel says of a copy now.
enum StopSight {
    /// It runs, and its listeners are open.
    case listening
    /// It runs, and all its listeners are closed.
    case closed
    /// It has ended, but others hold its listeners, or heirs are still about to end.
    case abandoned
    /// It has ended, and its listeners have gone.
    case gone
}

/// The next step of stopping a copy.
enum StopStep: Equatable {
    case wait
    /// Send the next message, as soon as it has no connections to its listeners any more.
    case sendNextMessage
    /// Send the stop signal to heirs that hold its listeners, if nobody else seems to tell them.
    case handOn
    /// Take the listeners of a copy that has ended by itself away, and ask its heirs to stop.
    case takeAway
    /// Take its listeners away, and kill whoever of it still holds them; or only the copy, if it has none.
    case revoke
    /// Nothing has helped.
    case giveUp
    case finish(StopOutcome)
}

extension StopState {
    /// Decides the next step, for each state and what is seen in it.
    ///
    /// `isLate` says that the deadline has passed, `hasMessage` that there is another message to be sent, and
    /// `keepsFinishing` that it may live on without listeners.
    func step(seeing sight: StopSight, isLate: Bool, hasMessage: Bool, keepsFinishing: Bool) -> StopStep {
        switch (self, sight) {
        case (.notAsked, _), (.finished, _): .wait

        case (.foundEnded, .gone): .finish(.alreadyGone)
        case (.foundEnded, _): .takeAway

        case (.asked, .gone), (.revoking(nil, _), .gone): .finish(.exited)
        case (.asked, .listening), (.asked, .abandoned): isLate ? .revoke : .handOn
        case (.asked, .closed):
            if hasMessage, !isLate {
                .sendNextMessage
            } else if keepsFinishing {
                .finish(.retired)
            } else {
                isLate ? .revoke : .wait
            }

        case (.revoking(let reason?, _), .gone): .finish(.killed(reason))
        case (.revoking(nil, _), .closed): keepsFinishing ? .finish(.retired) : .revoke
        case (.revoking(_?, _), .closed): isLate ? .giveUp : .wait
        case (.revoking, .listening), (.revoking, .abandoned): isLate ? .giveUp : .revoke
        }
    }
}
