/// What happens in a handoff, and in commands that start, stop or suspend copies. The layer Output makes words of it.
/// Generations are named by their labels.
enum HandoffEvent {
    /// The coordinator begins; the process does nothing else from now on, so its title may tell of the handoff.
    case coordinating
    /// The generation has its label and its members.
    case registered(label: ByteString, copies: [Int])
    /// There are as many copies as before, because `--copies` was not given.
    case keepsCopies(Int)
    /// There are to be so many copies, and there are that many until now.
    case changesCopies(Int, before: Int)
    /// Options of the live generation that are not given now. With `--user` among them the copies become the caller's.
    case leavesOut([ByteString], of: ByteString, isUser: Bool)
    /// Nothing was started, and this generation is live.
    case servesOn(Presence)
    /// An earlier generation is deployed again, with the files that are in this directory now, and so many copies.
    case goesBack(to: ByteString, in: ByteString, copies: Int)
    /// Later deploys follow this name, which may lead elsewhere than to this directory.
    case keepsName(ByteString, of: ByteString)
    /// The last deploy is repeated, in its directory and not in the present one.
    case runsElsewhere(ByteString)
    /// A deploy with all its options starts in another directory than the live generation did.
    case changesDirectory(ByteString, before: ByteString, of: ByteString)
    /// Copies that stood still serve again.
    case goesOn(ByteString)
    /// Only the owner of the Unix socket at this path can connect to it, and root.
    case isOwnersAlone(ByteString, ByteString)
    /// nginx is told to stop by TERM, at which it breaks off its answers.
    case nginxBreaksOff
    /// Copies that stand still are replaced by some that serve.
    case endsSuspension
    /// The copies get the environment of the deploy, and these variables of the present one differ from it.
    case keepsEnvironment([ByteString])
    /// The environment of the deploy is not known, so the copies get the present one.
    case lostEnvironment
    /// A copy has changed its state; nil: its process is not known.
    case copy(Int, pid: Int32?, CopyProgress)
    /// The new generation serves, and this one can still come back, for so long.
    case watching(ByteString?, Milliseconds)
    /// A generation gets the connections again that another one had taken over.
    case cameBack(to: ByteString)
    /// A member waits until the other copies of its generation are ready.
    case awaitingSiblings
    /// New connections go to the generation from now on; nil: there was no other, or it is not known.
    case tookOver(from: ByteString?)
    /// Copies that a supervisor starts have taken the places they were started for.
    case joined
    /// The old generation gets time to accept and read what it has got.
    case draining(ByteString)
    case drained(ByteString)
    /// The old generation is told to stop.
    case retiring(ByteString)
    /// The old generation was stopped, as far as that was possible.
    case retired(ByteString, RetireOutcome)
    /// The copies of a handoff that failed are stopped.
    case stopping(ByteString)
    /// Copies that an earlier, failed generation has left are ended.
    case endingFailed(ByteString)
    /// An old generation is ended: it is beyond `--keep-retired`, or an interrupted handoff left it.
    case endingOld(ByteString)
    /// The generation failed; the live one was left alone.
    case failed(ByteString)
    /// A process puts back paths of Unix sockets that old copies may remove.
    case keepingPaths
    /// The registry had lost a generation, which is recorded again under this label.
    case recovered(ByteString)
    /// A server that belongs to no generation shares the address; it gets connections until the cutover.
    case foreignServer(pid: Int32, name: ByteString, socket: ByteString)
    /// A listener that belongs to no running generation shares the address. It gets no connections.
    case outsider(pid: Int32, name: ByteString, socket: ByteString)
    /// eBPF cannot be used, so connections are steered by cBPF.
    case noEBPF(Failure)
    /// The copy that had this place before was ended by the kernel.
    case predecessor(copy: Int, pid: Int32, EndReason)
    /// `--app-memory-max` could not be set.
    case appLimitNotSet(Errno)
    /// The number of connections that can wait at suspended copies.
    case room(Int)
    /// Service directories or units were written for this supervisor.
    case servicesWritten(for: ByteString)
    /// The output of a failed copy or service, and where it was written; `isShared`: the live generation writes there, too.
    case output(of: ByteString, ByteString, isShared: Bool)
    /// The handoff has succeeded.
    case served(HandoffResult)
    /// The coordinator has nothing more to do; comes after `served`.
    case over
    /// Something failed that does not end the handoff.
    case problem(Failure)
    /// Something failed that is of interest with `--debug` only.
    case minorProblem(Failure)
    /// A detail of how copies are stopped.
    case stop(StopEvent)
    /// A detail of how a copy becomes ready.
    case readiness(ReadinessEvent)
    /// `scale` is done. Comes only if no copy was added; otherwise `served` says so.
    case scaled(copies: Int)
    /// The app is waited for, and not known yet.
    case awaited
    /// A copy that a restart has added serves until the others have started anew.
    case standsIn(copy: Int)
    /// All copies have started anew.
    case restarted(copies: Int)
    /// The deploy has failed, so the next one does not have these options of its command line.
    case forgetsOptions([ByteString])
    /// The live copies stand still, and no new generation: that was asked for, or deploy does not know their command.
    case standsStill(isWanted: Bool)
    /// `suspend` finds that the app is suspended.
    case isSuspended
    /// `suspend` deploys again.
    case suspendsAnew
    /// `enable` has kept how an app was deployed, in this directory.
    case isKept(in: ByteString)
    /// The copies run as root, because no user was given.
    case runsAsRoot
    /// `forget` leaves the log.
    case leavesLog(ByteString)
    /// An app that has ended is enabled, or is not any more.
    case startsAtBoot(Bool)
    /// `restart` stops the copies before it starts others.
    case refuses
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

/// The result of a handoff that succeeded.
struct HandoffResult: Sendable, Equatable {
    var label: ByteString
    var copies: Int
    /// Whether the copies joined a generation that was live already.
    var joined: Bool
    var isSuspended: Bool
}

/// Passes events on to be shown.
struct Reporter {
    let report: (HandoffEvent) -> Void

    init(_ report: @escaping (HandoffEvent) -> Void) { self.report = report }

    @inline(never)
    func callAsFunction(_ event: HandoffEvent) { report(event) }
}
