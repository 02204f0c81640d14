/// Says which copy to stop, and how.
struct StopOrder: Sendable {
    var process: ProcessIdentity
    /// The listeners that must be gone in the end.
    var listeners: [ListenerIdentity]
    /// The supervisor that would start it again.
    var supervisor: Supervisor?
    var stopSignal: Int32
    /// Whether its supervisor sends the signal as soon as it is told.
    var isSignalledBySupervisor = false
    /// Its Node channel. If that has stop messages, they are sent instead of the signal.
    var channel: ChannelRecord?
    /// How long it has, from the stop signal on, until it is killed.
    var stopTimeout: Milliseconds
    /// Whether it may live on as soon as its listeners are closed.
    var keepsFinishing: Bool
    /// The nice value that it gets with the stop signal; nil leaves it as it is.
    var nice: Int32?
    /// Whether it shares a memory limit with copies that live on.
    var sharesLimit = false
    /// The user as whom it was started.
    var user: UInt32?
    /// Its control group.
    var group: CopyGroup?
    /// Processes that may hold its listeners for other copies.
    var spared: [ProcessIdentity] = []
    /// Whether connections that wait at its listeners move to a new generation when they are closed.
    var moves = false
    /// Whether it is reported if it ends with connections that wait for answers.
    var countsUnanswered = false

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

extension StopOrder {
    /// What it is sent: its messages one after the other, or the signal.
    var requests: [StopRequest] {
        let texts = messages(channel?.stopMessages ?? "")
        return texts.isEmpty ? [.signal(stopSignal)] : texts.map { .message($0) }
    }
}
