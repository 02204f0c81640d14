/// What happens in a handoff, as it happens. Output makes the words of it.
enum HandoffEvent {
    /// The coordinator is at work, in a process that is its own from now on.
    case coordinating
    /// The generation has its label and its members; nothing was said of it before.
    case registered(label: ByteString, copies: [Int])
    /// A copy has come to another state; nil: its process is not known.
    case copy(Int, pid: Int32?, CopyProgress)
    /// A member waits until the other copies of its generation are ready.
    case awaitingSiblings
    /// New connections go to the generation from now on.
    case tookOver(from: ByteString?)
    /// Copies that a supervisor starts have taken the places they were started for.
    case joined
    case draining(ByteString)
    case drained(ByteString)
    case retiring(ByteString)
    case retired(ByteString, RetireOutcome)
    /// Copies are stopped that will not serve.
    case stopping(ByteString)
    /// An earlier generation that failed has copies left, which end now.
    case endingFailed(ByteString)
    /// An earlier generation has outlived `--keep-retired`, or an interrupted handoff.
    case endingOld(ByteString)
    /// The generation failed; the live one was left alone.
    case failed(ByteString)
    /// A process puts back paths of Unix sockets that old copies may remove.
    case keepingPaths
    /// The handoff is over.
    case over
    /// The registry had lost a generation, which is entered again under this label.
    case recovered(ByteString)
    /// A server that belongs to no generation shares the address; it gets connections until the cutover.
    case foreignServer(pid: Int32, name: ByteString, socket: ByteString)
    /// eBPF cannot be used, so connections are steered by cBPF.
    case noEBPF(Failure)
    /// The copy that had this place before was ended by the kernel.
    case predecessor(copy: Int, pid: Int32, EndReason)
    /// `--app-memory-max` could not be set.
    case appLimitNotSet(Errno)
    /// So many connections can wait at copies that stand still.
    case room(Int)
    /// Service directories or units are there.
    case servicesWritten(for: ByteString)
    /// What a failed copy or service wrote, and where it stands.
    case output(of: ByteString, ByteString)
    /// All is done: so many copies serve.
    case served(HandoffResult)
    /// Something failed that does not end the handoff.
    case problem(Failure)
    /// Something failed that only a reader of `--debug` wants to know.
    case minorProblem(Failure)
    /// While copies are stopped.
    case stop(StopEvent)
    /// While a copy is waited for.
    case readiness(ReadinessEvent)
    /// An app has as many copies as it was to have, without one more or less.
    case scaled(copies: Int)
    /// An app stands still without a new generation, because its command is not known.
    case standsStill
}

/// How far a copy has come.
enum CopyProgress: Sendable, Equatable {
    case starting, ready, serving
    case failed(EndReason)
}

/// What became of a generation that was told to stop.
enum RetireOutcome: Sendable, Equatable {
    /// All its copies have ended.
    case gone
    /// Its listeners are closed, and at least one copy finishes what it has accepted.
    case finishing
    /// A copy could not be stopped.
    case stillThere
}

/// What a handoff that went well has led to.
struct HandoffResult: Sendable, Equatable {
    var label: ByteString
    var copies: Int
    /// Whether the copies joined a generation that was live already.
    var joined: Bool
    var isSuspended: Bool
}

/// Hands events on to whoever shows them.
struct Reporter {
    let report: (HandoffEvent) -> Void

    init(_ report: @escaping (HandoffEvent) -> Void) { self.report = report }

    func callAsFunction(_ event: HandoffEvent) { report(event) }
}
