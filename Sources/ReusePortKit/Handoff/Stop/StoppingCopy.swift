import CLinux

/// A copy on its way to its end: what is known of it, and how each step is carried out.
final class StoppingCopy {
    let order: StopOrder
    let name: NamedProcess
    let setting: StopSetting
    private(set) var state: StopState
    private(set) var hasEnded: Bool
    /// Its listeners that are still open in any process.
    var open: [OpenListener] = []
    /// Whether its supervisor sends the stop signal. A second one would end programs that handle only the first.
    var isSignalled = false
    /// Nil if it had gone before, or cannot be held.
    private let handle: ProcessHandle?
    /// Processes that it, or one of them, has started. They are remembered because their parents may end.
    private var descendants: [ProcessIdentity] = []
    /// The users as whom it and its heirs run.
    private var users: [UInt32]
    /// Heirs that were sent the stop signal, and those that have to end because their listener was taken away.
    private var askedHeirs: [ProcessIdentity] = []
    private var endingHeirs: [ProcessIdentity] = []
    /// The inodes of listeners that were taken away. Heirs still hold them, although they no longer listen.
    private var takenInodes: [UInt64] = []
    private let isFoundEnded: Bool
    /// How many connections waited for an answer when the stop signal was sent.
    private var unanswered = 0
    /// The time after the stop signal in which a copy that ends cannot have answered what waited.
    private var atOnce = Deadline(moment: 0)
    private var endedAtOnce = false
    /// An io_uring lets go of listeners a moment after its process has ended. Until then nobody else is said to hold them.
    private var vanishing = Deadline(after: .seconds(1))
    private var requests: StopRequests
    private var holderSearch = HolderSearch()
    private var patience = HandOnPatience(Milliseconds(0))

    init(_ order: StopOrder, in setting: StopSetting) {
        self.order = order
        self.setting = setting
        name = NamedProcess(order.process, in: setting.proc)
        requests = StopRequests(order.requests)
        users = order.user.map { [$0] } ?? []
        do throws(Errno) {
            let handle = try ProcessHandle(to: order.process, in: setting.proc)
            hasEnded = handle.hasExited
            state = hasEnded ? .foundEnded : .notAsked
            self.handle = consume handle
            if let user = try? userID(of: order.process.pid, in: setting.proc) { users.append(user) }
        } catch {
            handle = nil
            hasEnded = error == .noProcess || error == .noEntry
            let refusal = StopRefusal(copy: name, why: .cannotBeWatched(error))
            state = hasEnded ? .foundEnded : .finished(.refused(refusal))
        }
        isFoundEnded = hasEnded
    }

    var isFinished: Bool { state.outcome != nil }

    /// Whether it runs, as far as is known, and has to be told to stop or waited for.
    var isAwaited: Bool { !isFinished && !hasEnded }

    /// The descriptor that becomes readable when it ends.
    var exitDescriptor: Int32? {
        switch handle {
        case .some(let handle): handle.descriptor.number
        case .none: nil
        }
    }

    /// Whether it has ended by now; `noteEnd` makes that known.
    var hasJustEnded: Bool {
        switch handle {
        case .some(let handle): handle.hasExited
        case .none: true
        }
    }

    func noteEnd() {
        hasEnded = hasJustEnded
        if hasEnded {
            vanishing = Deadline(after: .seconds(1))
            if !atOnce.hasPassed { endedAtOnce = true }
        }
    }

    /// Whether listeners of the copy, which has ended, may still go by themselves.
    private func mayVanish(_ holding: Holding) -> Bool {
        hasEnded && holding.holders.found.isEmpty && holding.heirs.isEmpty && !vanishing.hasPassed
    }

    /// Whether its listeners and heirs have to be looked at again and again: the kernel tells nobody when one has gone.
    var needsLook: Bool {
        switch state {
        case .asked, .revoking: hasEnded || !open.isEmpty || order.keepsFinishing || requests.hasMessage
        case .foundEnded: true
        case .notAsked, .finished: false
        }
    }

    private var sight: StopSight {
        if hasEnded { return open.isEmpty && !hasHeirs ? .gone : .abandoned }
        return open.isEmpty ? .closed : .listening
    }

    /// Whether heirs are still there that have to end with it.
    private var hasHeirs: Bool {
        (order.keepsFinishing ? endingHeirs : endingHeirs + askedHeirs).contains { $0.isAlive(in: setting.proc) }
    }

    private var labels: [ListenerLabel] { open.map { $0.label } }

    func refuse(_ why: StopRefusal.Why) { state = .finished(.refused(StopRefusal(copy: name, why: why))) }

    private func lookAtListeners() { open = (try? openListeners(order.listeners)) ?? open }
}

/// What all copies that are stopped together have in common.
struct StopSetting {
    let proc: ProcFileSystem
    let report: (StopEvent) -> Void
}

/// The messages that a copy is sent, one after the other, or its stop signal.
private struct StopRequests {
    private var rest: [StopRequest]
    /// What it was sent last.
    private(set) var last: StopRequest

    init(_ requests: [StopRequest]) {
        rest = requests
        last = requests[0]
    }

    /// Whether there is another one; after the first it is a message.
    var hasMessage: Bool { !rest.isEmpty }

    mutating func takeNext() -> StopRequest {
        last = rest.remove(at: 0)
        return last
    }

    /// Nothing can be sent through the channel: the signal is the last that it gets.
    mutating func fallBack(to signal: Int32) {
        rest = []
        last = .signal(signal)
    }
}

/// When the holders of open listeners are searched next: a search reads the descriptors of all processes, so the pauses
/// double from 100 ms on.
private struct HolderSearch {
    private var next = Deadline(moment: 0)
    private var pause = Milliseconds(100)

    var isDue: Bool { next.hasPassed }

    mutating func start() { (next, pause) = (Deadline(after: Milliseconds(100)), Milliseconds(100)) }

    mutating func postpone(notBeyond deadline: Deadline) {
        pause = Milliseconds(pause.count * 2)
        next = min(Deadline(after: pause), deadline)
    }
}

/// How long heirs are left to whoever has to tell them: a second signal within one stop would end many programs at once.
private struct HandOnPatience {
    /// A copy that has ended, or has no listener, tells its heirs within a second if it does.
    let withoutCopy: Deadline
    /// One that listens itself may be about to do so, or may be a shell that waits for its command.
    let withCopy: Deadline

    init(_ stopTimeout: Milliseconds) {
        withoutCopy = Deadline(after: min(.seconds(1), Milliseconds(stopTimeout.count / 4)))
        withCopy = Deadline(after: Milliseconds(stopTimeout.count / 2))
    }
}

/// The holders of the open listeners of a copy, besides itself.
private struct Holding {
    var holders = SocketHolders()
    /// Heirs that hold one, or of which that cannot be seen.
    var heirs: [ProcessIdentity] = []
    /// Processes that are not ours to end.
    var others: [NamedProcess] = []
    /// Whether the copy holds one itself, or that cannot be seen.
    var isOwn = false
}

// MARK: - Steps

extension StoppingCopy {
    /// Remembers its descendants, raises its nice value, and makes it the first to go when memory runs out. If this fails,
    /// the copy is stopped all the same.
    func lower() {
        rememberDescendants()
        if let nice = order.nice,
            let errno = reason({ () throws(Errno) in try setPriority(of: order.process, nice: nice, in: setting.proc) })
        {
            setting.report(.keepsNiceValue(name, errno))
        }
        // The score counts in thousandths of the limit. Where new copies share the limit, only the highest score makes
        // sure that none of them goes first, however much more memory they have.
        let raise: Int32 = order.sharesLimit ? 1000 : 500
        for process in [order.process] + (order.sharesLimit ? descendants : []) {
            if let errno = reason({ () throws(Errno) in
                try raiseOutOfMemoryScore(of: process, by: raise, in: setting.proc)
            }) {
                setting.report(.keepsMemoryScore(name, errno))
            }
        }
    }

    /// Sends the first stop message, or the stop signal; its time begins.
    func ask() {
        beginPatience()
        sendNextRequest()
    }

    private func beginPatience() {
        state = .asked(until: Deadline(after: order.stopTimeout))
        patience = HandOnPatience(order.stopSignal == SIGKILL ? Milliseconds(0) : order.stopTimeout)
        holderSearch.start()
    }

    /// Does the next step, by what has been seen.
    func decide() {
        if isFinished { return }
        tellLateHeirs()
        let isLate = state.deadline?.hasPassed ?? false
        let holding = isSearchDue ? search() : nil
        if let holding { shutForgotten(holding) }
        switch state.step(
            seeing: sight, isLate: isLate, hasMessage: requests.hasMessage, keepsFinishing: order.keepsFinishing)
        {
        case .wait: break
        case .sendNextMessage: if !hasConnections { sendNextRequest() }
        case .handOn: if let holding { handOn(holding) }
        case .takeAway:
            let holding = holding ?? search()
            if !mayVanish(holding) { takeAway(holding) }
        case .revoke:
            if case .revoking = state, holding == nil { return }
            revoke()
        case .giveUp: giveUp()
        case .finish(let outcome):
            // Its listeners are closed a moment before it has ended.
            if outcome == .retired, !atOnce.hasPassed { return }
            if outcome == .exited { reportUnanswered() }
            state = .finished(isFoundEnded ? .alreadyGone : outcome)
        }
    }

    private func sendNextRequest() {
        do throws(Errno) {
            let request = requests.takeNext()
            if case .message(let text) = request, !isSent(text) { requests.fallBack(to: order.stopSignal) }
            if case .signal(let number) = requests.last, !isSignalled {
                if order.countsUnanswered { countUnanswered(number) }
                try signal(number)
            }
            setting.report(.told(name, requests.last))
            try continueIfStopped()
        } catch {
            // Without CAP_KILL it can only be ended through its group, when its time is over.
            if error == .notPermitted, order.group != nil { return }
            if error != .noProcess { refuse(.cannotBeSent(signal: order.stopSignal, error)) }
        }
    }

    /// Sends a message through its Node channel; false if that cannot be done.
    private func isSent(_ message: ByteString) -> Bool {
        guard let channel = order.channel else { return false }
        let errno = reason { () throws(Errno) in
            switch handle {
            case .some(let handle): try send(message, through: channel, of: handle)
            case .none: throw .noProcess
            }
        }
        if let errno, errno != .noProcess { setting.report(.channelFailed(name, errno)) }
        return errno == nil
    }

    private func countUnanswered(_ number: Int32) {
        let waiting = connections(to: order.listeners) { $0.isUnanswered }
        unanswered = (try? count(waiting, heldBy: order.process, in: setting.proc)) ?? 0
        if unanswered == 0 { return }
        let isCertain = lacksHandler(number, order.process.pid, in: setting.proc)
        atOnce = Deadline(after: Milliseconds(isCertain ? 1000 : 100))
    }

    /// Reports connections that were lost, as far as that is certain: a program that ends by itself may have answered.
    private func reportUnanswered() {
        guard unanswered > 0, endedAtOnce, case .signal(let number) = requests.last else { return }
        var end: ProcessEnd?
        switch handle {
        case .some(let handle): end = ReusePortKit.end(of: handle)
        case .none: break
        }
        if end == .killed(number) { setting.report(.endedUnanswered(name, number, unanswered)) }
    }

    private func signal(_ number: Int32) throws(Errno) { try handle?.signal(number) }

    /// Continues it if it is stopped, with all that it has started: a stopped process takes no signal but KILL and CONT.
    private func continueIfStopped() throws(Errno) {
        guard (try? ProcessStatus(of: order.process.pid, in: setting.proc))?.isStopped == true else { return }
        // Connections that have waited meanwhile are for the new generation, but it would accept them before it ends.
        if order.moves { _ = shut(open, heldBy: search().holders, listensAgain: true) }
        try resume(order.process)
    }

    private var hasConnections: Bool {
        (try? count(connections(to: order.listeners), heldBy: order.process, in: setting.proc)) != 0
    }

    /// Shuts listeners that are only held by processes which do not know of them: with dialect `adopt`, a program that
    /// starts another one before it binds hands the launcher's listeners on to it, and nobody would close them.
    private func shutForgotten(_ holding: Holding) {
        let holders = holding.holders
        guard !holders.found.isEmpty, holders.isComplete,
            holders.found.allSatisfy({ isForgotten(by: $0) })
        else { return }
        setting.report(.shutForgotten(name, labels))
        _ = shut(open, heldBy: holders, listensAgain: false)
        lookAtListeners()
    }

    private func isForgotten(by holder: SocketHolder) -> Bool {
        open.contains { ReusePortKit.isForgotten($0, by: holder, in: setting.proc) }
    }

    private func rememberDescendants() {
        for one in ReusePortKit.descendants(of: order.process, in: setting.proc) where !descendants.contains(one) {
            descendants.append(one)
        }
    }
}

// MARK: - Heirs

extension StoppingCopy {
    private var isSearchDue: Bool {
        guard !open.isEmpty, holderSearch.isDue, let deadline = state.deadline else { return false }
        holderSearch.postpone(notBeyond: deadline)
        return true
    }

    /// Searches for the holders of its open listeners, or of sockets with these inodes. If they cannot be seen, the copy
    /// and what it has started may hold them: that is not taken for "nobody".
    private func search(_ inodes: [UInt64]? = nil) -> Holding {
        var result = Holding()
        rememberDescendants()
        let members = order.group.map { processes(of: $0.group, in: setting.proc) } ?? []
        let inodes = inodes ?? open.map { $0.inode }
        guard let holders = try? holders(ofSocketInodes: inodes, first: order.process, in: setting.proc)
        else {
            result.isOwn = true
            return result
        }
        result.holders = holders
        result.isOwn =
            !holders.isComplete || holders.hidden.contains(order.process.pid)
            || holders.found.contains { $0.process == order.process && !isForgotten(by: $0) }
        var seen = [order.process]
        for holder in holders.found where !seen.contains(holder.process) {
            seen.append(holder.process)
            if isOurs(holder.process, members) {
                result.heirs.append(holder.process)
            } else {
                result.others.append(NamedProcess(pid: holder.process.pid, name: holder.name))
            }
        }
        for process in descendants + members where holders.hidden.contains(process.pid) && !seen.contains(process) {
            seen.append(process)
            result.heirs.append(process)
        }
        return result
    }

    /// Whether a process is an heir, and not one that another copy, or its coordinator, needs.
    private func isOurs(_ process: ProcessIdentity, _ members: [ProcessIdentity]) -> Bool {
        if process.pid == 1 || process.pid == getpid() || order.spared.contains(process) { return false }
        if descendants.contains(process) || members.contains(process) { return true }
        // Another deploy of the app may still hold listeners of its copies.
        if let program = try? executable(of: process.pid), program == (try? executable(of: getpid())) { return false }
        guard let user = try? userID(of: process.pid, in: setting.proc) else { return false }
        return users.contains(user)
    }

    /// Sends the stop signal to heirs that have not had it from us, once it is certain enough that they do not get it
    /// from the copy: a wrapper such as a shell or `npm start` does not hand it on.
    private func handOn(_ holding: Holding) {
        guard (hasEnded || !holding.isOwn ? patience.withoutCopy : patience.withCopy).hasPassed else { return }
        // A process that has never used the listener is no part of the server.
        tell(
            holding.heirs.filter { heir in
                let held = holding.holders.found.filter { $0.process == heir }
                return held.isEmpty || !held.allSatisfy { isForgotten(by: $0) }
            })
    }

    /// When the heirs that were told have ended, tells those that they forked before they were.
    private func tellLateHeirs() {
        guard hasEnded, open.isEmpty, !takenInodes.isEmpty, !hasHeirs else { return }
        let late = search(takenInodes).heirs
        if late.isEmpty { takenInodes = [] }
        endingHeirs += late
        tell(late)
    }

    private func tell(_ heirs: [ProcessIdentity]) {
        for heir in heirs where !askedHeirs.contains(heir) {
            askedHeirs.append(heir)
            guard let handle = try? ProcessHandle(to: heir, in: setting.proc) else { continue }
            var signal = order.stopSignal
            if case .revoking = state { signal = SIGKILL }
            if (try? handle.signal(signal)) != nil {
                setting.report(.handedOn(NamedProcess(heir, in: setting.proc), of: name, signal))
            }
        }
    }

    /// Takes the listeners of a copy that has ended by itself away at once, because what waits there is served by nobody
    /// or by a process that nobody knows. Heirs get the stop signal and its time.
    private func takeAway(_ holding: Holding) {
        setting.report(.tookAway(name, labels, from: holding.named(in: setting.proc)))
        _ = shut(open, heldBy: holding.holders, listensAgain: false)
        beginPatience()
        takenInodes = open.map { $0.inode }
        endingHeirs = holding.heirs
        tell(holding.heirs)
        lookAtListeners()
    }

    /// Its time is over: takes its listeners away from whoever holds them, and kills its heirs that do; also the copy,
    /// unless it has closed its own listeners and may go on finishing. Comes again while the kernel lists one of the
    /// listeners, because a holder can listen again.
    private func revoke() {
        lookAtListeners()
        // Before they are shut, because then nobody can be found by them any more.
        var holding = search()
        if mayVanish(holding) { return }
        let killsCopy = !hasEnded && (!order.keepsFinishing || holding.isOwn || open.isEmpty)
        if !order.keepsFinishing || open.isEmpty { holding.heirs += askedHeirs.filter { !holding.heirs.contains($0) } }
        var (reason, isAgain, end) = (nil as KillReason?, false, Deadline(after: killPatience))
        if case .revoking(let earlier, let deadline) = state { (reason, isAgain, end) = (earlier, true, deadline) }
        let overdue = KillReason.Overdue(time: order.stopTimeout, request: requests.last)
        if killsCopy, reason == nil { reason = open.isEmpty ? .stillRan(overdue) : .stillListened(labels, overdue) }
        if hasEnded, reason == nil, !holding.heirs.isEmpty {
            reason = open.isEmpty ? .stillRan(overdue) : .descendantsListened(labels)
        }
        if !isAgain { holderSearch.start() }
        state = .revoking(reason, until: end)

        if takenInodes.isEmpty { takenInodes = open.map { $0.inode } }
        var shutting = shut(open, heldBy: holding.holders, listensAgain: false)
        if !holding.others.isEmpty, shutting.isDone, !isAgain {
            setting.report(.tookAway(name, labels, from: holding.others))
        }
        var failure: Errno?
        if killsCopy, let reason {
            if !isAgain { setting.report(.killing(name, reason)) }
            // With ESRCH it has just ended by itself.
            failure = ReusePortKit.reason { () throws(Errno) in try signal(SIGKILL) }
            if failure == .noProcess { failure = nil }
        }
        var isKilled = killsCopy && failure == nil
        for heir in holding.heirs {
            guard let handle = try? ProcessHandle(to: heir, in: setting.proc) else { continue }
            endingHeirs.append(heir)
            let named = NamedProcess(heir, in: setting.proc)
            if (try? handle.signal(SIGKILL)) != nil {
                if !isAgain { setting.report(.killingDescendant(named, of: name, labels)) }
                isKilled = true
            } else {
                shutting.lacks.insert(.kill)
            }
        }
        // All that it has started goes with it, or has shown that it does not let go.
        if killsCopy || isAgain || shutting.lacks.contains(.kill), let group = order.group, killAll(in: group.group) {
            (isKilled, failure) = (true, nil)
        }
        if let failure, let reason {
            refuse(.cannotBeKilled(failure, reason))
        } else if !isKilled, !shutting.isDone {
            refuse(
                .othersListen(
                    labels, others: holding.others, hasEnded: hasEnded, shutting.lacks.union(holding.holders.lacks)))
        } else {
            lookAtListeners()
        }
    }

    /// Ends the wait after KILL: a process is in a system call that cannot be interrupted, or others listen again and
    /// again.
    private func giveUp() {
        if open.isEmpty {
            refuse(.stillRuns(after: killPatience))
        } else {
            let holding = search()
            refuse(.stillListening(labels, by: holding.named(in: setting.proc), after: killPatience))
        }
    }
}

extension Holding {
    fileprivate func named(in proc: ProcFileSystem) -> [NamedProcess] {
        heirs.map { NamedProcess($0, in: proc) } + others
    }
}

/// How long the kernel may take to end a process.
private let killPatience = Milliseconds.seconds(10)
