/// How far a copy has come on its way to its end.
enum StopState {
    /// It runs, and has not been asked to stop yet: supervisors are told first.
    case notAsked
    /// It had ended before anything was done; other processes may hold its listeners.
    case foundEnded
    /// It was sent a stop message or the stop signal, and has until the deadline to close its listeners.
    case asked(until: Deadline)
    /// It was sent KILL.
    case killing(KillReason, until: Deadline)
    /// Its descendants that held its listeners were sent KILL. The reason is nil while the copy itself runs on.
    case endingDescendants(KillReason?, until: Deadline)
    case finished(StopOutcome)

    /// The moment at which the next step is due if nothing happens; nil once it is finished.
    var deadline: Deadline? {
        switch self {
        case .notAsked, .foundEnded: Deadline(moment: 0)
        case .asked(let deadline), .killing(_, let deadline), .endingDescendants(_, let deadline): deadline
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
    /// It has ended, but others hold its listeners.
    case abandoned
    /// It has ended, and its listeners have gone.
    case gone
}

/// The next step of stopping a copy.
enum StopStep: Equatable {
    case wait
    /// Send the next message, as soon as it has no connections to its listeners any more.
    case sendNextMessage
    /// Its time is over: kill it, or only the processes that keep its listeners open if it may go on finishing.
    case kill
    case endDescendants
    /// KILL has not helped.
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
        case (.foundEnded, _): .endDescendants

        case (.asked, .gone), (.endingDescendants(nil, _), .gone): .finish(.exited)
        case (.asked, .abandoned): isLate ? .endDescendants : .wait
        case (.asked, .listening), (.endingDescendants, .listening): isLate ? .kill : .wait
        case (.asked, .closed), (.endingDescendants, .closed):
            if hasMessage, !isLate {
                .sendNextMessage
            } else if keepsFinishing {
                .finish(.retired)
            } else {
                isLate ? .kill : .wait
            }

        case (.killing(let reason, _), .gone), (.endingDescendants(let reason?, _), .gone): .finish(.killed(reason))
        case (.killing, .abandoned): .endDescendants
        case (.killing, .listening), (.killing, .closed), (.endingDescendants, .abandoned): isLate ? .giveUp : .wait
        }
    }
}
