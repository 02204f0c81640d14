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
    /// Nil if it had gone before, or cannot be held.
    private let handle: ProcessHandle?
    /// Processes that it, or one of them, has started. They are remembered because their parents may end.
    private var descendants: [ProcessIdentity] = []
    private var requests: StopRequests
    private var holderSearch = HolderSearch()

    init(_ order: StopOrder, in setting: StopSetting) {
        self.order = order
        self.setting = setting
        name = NamedProcess(order.process, in: setting.proc)
        requests = StopRequests(order.requests)
        do throws(Errno) {
            let handle = try ProcessHandle(to: order.process, in: setting.proc)
            hasEnded = handle.hasExited
            state = hasEnded ? .foundEnded : .notAsked
            self.handle = consume handle
        } catch {
            handle = nil
            hasEnded = error == .noProcess || error == .noEntry
            let refusal = StopRefusal(copy: name, why: .cannotBeWatched(error))
            state = hasEnded ? .foundEnded : .finished(.refused(refusal))
        }
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

    func noteEnd() { hasEnded = hasJustEnded }

    /// Whether its listeners have to be looked at again and again: the kernel tells nobody when one is closed.
    var needsLook: Bool {
        if hasEnded { return !isFinished && !open.isEmpty }
        switch state {
        case .asked(let deadline), .endingDescendants(_, let deadline):
            return order.keepsFinishing || requests.hasMessage && !deadline.hasPassed
        case .notAsked, .foundEnded, .killing, .finished: return false
        }
    }

    private var sight: StopSight {
        if hasEnded { open.isEmpty ? .gone : .abandoned } else { open.isEmpty ? .closed : .listening }
    }

    private var labels: [ListenerLabel] { open.map { $0.label } }

    func refuse(_ why: StopRefusal.Why) { state = .finished(.refused(StopRefusal(copy: name, why: why))) }

    private func lookAtListeners() { open = (try? openListeners(order.listeners)) ?? open }

    private func holdersOfOpen() -> SocketHolders? {
        try? holders(ofSocketInodes: open.map { $0.inode }, in: setting.proc)
    }
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

    mutating func start() { next = Deadline(after: pause) }

    mutating func postpone(notBeyond deadline: Deadline) {
        pause = Milliseconds(pause.count * 2)
        next = min(Deadline(after: pause), deadline)
    }
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
        state = .asked(until: Deadline(after: order.stopTimeout))
        holderSearch.start()
        sendNextRequest()
    }

    /// Does the next step, by what has been seen.
    func decide() {
        if isFinished { return }
        shutForgotten()
        let isLate = state.deadline?.hasPassed ?? false
        switch state.step(
            seeing: sight, isLate: isLate, hasMessage: requests.hasMessage, keepsFinishing: order.keepsFinishing)
        {
        case .wait: break
        case .sendNextMessage: if !hasConnections { sendNextRequest() }
        case .kill: endLateCopy()
        case .endDescendants: endDescendants()
        case .giveUp: giveUp()
        case .finish(let outcome): state = .finished(outcome)
        }
    }

    private func sendNextRequest() {
        do throws(Errno) {
            let request = requests.takeNext()
            if case .message(let text) = request, !isSent(text) { requests.fallBack(to: order.stopSignal) }
            if case .signal(let number) = requests.last { try signal(number) }
            setting.report(.told(name, requests.last))
            try continueIfStopped()
        } catch {
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

    private func signal(_ number: Int32) throws(Errno) { try handle?.signal(number) }

    /// Continues it if it is stopped, with all that it has started: a stopped process takes no signal but KILL and CONT.
    private func continueIfStopped() throws(Errno) {
        guard (try? ProcessStatus(of: order.process.pid, in: setting.proc))?.isStopped == true else { return }
        // Connections that have waited meanwhile are for the new generation, but it would accept them before it ends.
        if order.moves, let holders = holdersOfOpen() { shut(open, heldBy: holders, listensAgain: true) }
        try resume(order.process)
    }

    private var hasConnections: Bool {
        for listener in order.listeners {
            guard let port = listener.address.port, let all = try? establishedConnections(toLocalPort: port) else {
                continue
            }
            if (try? count(all, heldBy: order.process)) != 0 { return true }
        }
        return false
    }

    /// Shuts listeners that are only held by processes which do not know of them: with dialect `adopt`, a program that
    /// starts another one before it binds hands the launcher's listeners on to it, and nobody would close them.
    private func shutForgotten() {
        guard !open.isEmpty, holderSearch.isDue, let deadline = state.deadline else { return }
        holderSearch.postpone(notBeyond: deadline)
        guard let holders = holdersOfOpen(), !holders.found.isEmpty, holders.isComplete,
            holders.found.allSatisfy({ holder in
                open.contains { isForgotten($0, by: holder, in: setting.proc) }
            })
        else { return }
        setting.report(.shutForgotten(name, labels))
        shut(open, heldBy: holders, listensAgain: false)
        lookAtListeners()
    }

    /// Its time is over: kills it, or only its descendants if it has closed its own listeners and may go on finishing.
    private func endLateCopy() {
        lookAtListeners()
        // Before it ends, because then init becomes their parent.
        rememberDescendants()
        if order.keepsFinishing, !open.isEmpty, !isHolder {
            if case .endingDescendants = state { giveUp() } else { endDescendants() }
            return
        }
        let overdue = KillReason.Overdue(time: order.stopTimeout, request: requests.last)
        let why: KillReason = open.isEmpty ? .stillRan(overdue) : .stillListened(labels, overdue)
        setting.report(.killing(name, why))
        state = .killing(why, until: Deadline(after: killPatience))
        // With ESRCH it has just ended by itself.
        if let errno = reason({ () throws(Errno) in try signal(SIGKILL) }), errno != .noProcess {
            refuse(.cannotBeKilled(errno, why))
        }
    }

    /// Whether it holds one of the open listeners itself; true if that cannot be seen.
    private var isHolder: Bool {
        guard let inodes = try? socketInodes(of: order.process, in: setting.proc) else { return true }
        return open.contains { inodes.contains($0.inode) }
    }

    /// Kills its descendants that hold its listeners. Other processes are not ours to end.
    private func endDescendants() {
        var others: [NamedProcess] = []
        var seen: [ProcessIdentity] = []
        var hasKilled = false
        for holder in holdersOfOpen()?.found ?? [] where !seen.contains(holder.process) {
            seen.append(holder.process)
            let process = NamedProcess(pid: holder.process.pid, name: holder.name)
            if descendants.contains(holder.process), let handle = try? ProcessHandle(to: holder.process),
                (try? handle.signal(SIGKILL)) != nil
            {
                setting.report(.killingDescendant(process, of: name, labels))
                hasKilled = true
            } else {
                others.append(process)
            }
        }
        guard hasKilled else { return refuse(.othersListen(labels, others: others, hasEnded: hasEnded)) }
        var why: KillReason? = hasEnded ? .descendantsListened(labels) : nil
        if case .killing(let earlier, _) = state { why = earlier }
        state = .endingDescendants(why, until: Deadline(after: killPatience))
    }

    /// Ends the wait after KILL: a process is in a system call that cannot be interrupted, or others hold the listeners.
    private func giveUp() {
        if case .killing = state {
            refuse(.stillRuns(after: killPatience))
        } else {
            refuse(.stillListening(labels, after: killPatience))
        }
    }

    private func rememberDescendants() {
        for one in ReusePortKit.descendants(of: order.process, in: setting.proc) where !descendants.contains(one) {
            descendants.append(one)
        }
    }
}

/// How long the kernel may take to end a process.
private let killPatience = Milliseconds.seconds(10)
