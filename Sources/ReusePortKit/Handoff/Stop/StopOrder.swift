/// One copy that is to stop.
struct StopOrder: Sendable {
    var process: ProcessIdentity
    /// What it listens on; those that are to be seen gone.
    var listeners: [ListenerIdentity]
    /// Who would start it again.
    var supervisor: Supervisor?
    var stopSignal: Int32
    /// Its Node channel: if there are stop messages, they are sent through that instead of the signal.
    var channel: ChannelRecord?
    /// From the stop signal until KILL.
    var stopTimeout: Milliseconds
    /// Whether it may live on as soon as its listeners are closed.
    var keepsFinishing: Bool
    /// The nice value it gets with the stop signal; nil leaves it as it is.
    var nice: Int32?
    /// Whether it shares a limit with copies that are to live longer.
    var sharesLimit = false
    /// Whether what waits at its listeners goes to a new generation when they are closed.
    var moves = false

    init(
        process: ProcessIdentity, listeners: [ListenerIdentity], supervisor: Supervisor?, stopSignal: Int32,
        stopTimeout: Milliseconds, keepsFinishing: Bool, nice: Int32?
    ) {
        self.process = process
        self.listeners = listeners
        self.supervisor = supervisor
        self.stopSignal = stopSignal
        self.stopTimeout = stopTimeout
        self.keepsFinishing = keepsFinishing
        self.nice = nice
    }
}

/// What has become of a copy that was to stop.
enum StopOutcome: Sendable, Equatable {
    /// It had ended before anything was done; its listeners have gone too.
    case alreadyGone
    /// It has ended by itself, and its listeners have gone.
    case exited
    /// Its listeners have gone; it is still at work on what it has accepted.
    case retired
    /// It had to be killed: why. It and its listeners have gone.
    case killed(ByteString)
    /// It, or one of its listeners, is still there: why. A warning with the same words has been given.
    case refused(ByteString)
}
