import CLinux

/// A copy on its way to its end. A class, for that makes the smallest code of what is changed in many places.
final class StoppingCopy {
    let order: StopOrder
    /// `pid 12 (node)`
    let name: ByteString
    /// Nil if it had gone before, or there is no way to hold it.
    let handle: ProcessHandle?
    /// What its supervisor has not read yet.
    var command: ControlCommand?
    /// What it had started, for a descendant is not known as one any more once those between have ended.
    var descendants: [ProcessIdentity] = []
    /// By when it has to have done what it was last told.
    var deadline = Deadline(moment: 0)
    var hasExited: Bool
    /// Whether it had ended before anything was done.
    let wasGone: Bool
    /// Its listeners that are still there.
    var left: [ListenerLeft] = []
    /// Why it was killed, once it has been.
    var killed: ByteString?
    var heirsAreKilled = false
    /// When it is looked up next who holds its listeners, and how long it was since the last time.
    private var glance = Deadline(moment: 0)
    private var pause = Milliseconds(100)
    var outcome: StopOutcome?
    /// What it was told last.
    private var told = ByteString()
    private let messages: [ByteString]
    /// How many of them it has got.
    private var sent = 0

    init(_ order: StopOrder, in proc: ProcFileSystem) {
        self.order = order
        messages = ReusePortKit.messages(order.channel?.stopMessages ?? "")
        name =
            (try? ProcessStatus(of: order.process.pid, in: proc)).map { named($0.identity, $0.name) }
            ?? "pid \(order.process.pid)"
        do throws(Errno) {
            let handle = try ProcessHandle(to: order.process, in: proc)
            hasExited = handle.hasExited
            self.handle = consume handle
        } catch {
            handle = nil
            hasExited = error == .noProcess || error == .noEntry
            if !hasExited { outcome = .refused("\(name) cannot be watched: \(error.description)") }
        }
        wasGone = hasExited
    }

    /// Whether somebody has to look at its listeners again and again: nobody is told when one is closed.
    var needsLook: Bool {
        outcome == nil && (hasMessages || !left.isEmpty && (hasExited || order.keepsFinishing && killed == nil))
    }

    /// Whether it is to be sent another message when it has closed its listeners and all connections to them.
    private var hasMessages: Bool {
        !hasExited && killed == nil && sent < messages.count && !deadline.hasPassed
    }

    private var holdsConnections: Bool {
        for listener in order.listeners {
            guard let port = listener.address.port, let all = try? establishedConnections(toLocalPort: port) else {
                continue
            }
            if (try? count(all, heldBy: order.process)) != 0 { return true }
        }
        return false
    }

    /// Whether the process has ended by now.
    func seesExit() -> Bool {
        switch handle {
        case .some(let handle): handle.hasExited
        case .none: true
        }
    }

    /// What becomes readable when it ends.
    func exitDescriptor() -> Int32? {
        switch handle {
        case .some(let handle): handle.descriptor.number
        case .none: nil
        }
    }

    /// Whether its supervisor has read what it was told.
    func commandIsRead() -> Bool {
        switch command {
        case .some(let command): command.isRead
        case .none: true
        }
    }

    private func signal(_ number: Int32) throws(Errno) { try handle?.signal(number) }

    /// Whether its end is still to come, and will be told.
    var isAwaited: Bool { outcome == nil && !hasExited }

    /// More nice, and the first to go when memory runs out. That it cannot be done is no reason to keep it.
    func lower(_ log: Log, in proc: ProcFileSystem) {
        if let nice = order.nice {
            if let reason = reason({ () throws(Errno) in try setPriority(of: order.process, nice: nice, in: proc) }) {
                log.detail("\(name) keeps its nice value: \(reason.description)")
            }
        }
        // What the score is raised by counts in thousandths of the limit. Where that is shared with the copies of the
        // new generation, only all of it makes sure that none of those goes first, however much more it has.
        for process in [order.process] + (order.sharesLimit ? descendants : []) {
            let raise: Int32 = order.sharesLimit ? 1000 : 500
            if let reason = reason({ () throws(Errno) in try raiseOutOfMemoryScore(of: process, by: raise, in: proc) })
            {
                log.detail("\(name) keeps its oom_score_adj: \(reason.description)")
            }
        }
    }

    /// Sends the first stop message, or the stop signal; the time for it begins.
    func ask(_ log: Log, in proc: ProcFileSystem) {
        tell(log, in: proc)
        deadline = Deadline(after: order.stopTimeout)
        glance = Deadline(after: pause)
    }

    private func tell(_ log: Log, in proc: ProcFileSystem) {
        do throws(Errno) {
            if !sendsMessage(log) {
                told = signalName(order.stopSignal)
                try signal(order.stopSignal)
            }
            log.detail("\(told) to \(name)")
            // A stopped process gets no signal but KILL and CONT; what it has started was stopped with it.
            if (try? ProcessStatus(of: order.process.pid, in: proc))?.isStopped == true {
                // What has waited meanwhile is not for it, but it would accept all of that before it ends.
                if order.moves, let holders = holdersOfLeft(in: proc) { shut(left, holders, listensAgain: true) }
                try resume(order.process)
            }
        } catch {
            if error != .noProcess {
                outcome = .refused("\(name) takes no \(signalName(order.stopSignal)): \(error.description)")
            }
        }
    }

    /// Sends the next message; false if there is none, or it cannot be sent.
    private func sendsMessage(_ log: Log) -> Bool {
        guard sent < messages.count, let channel = order.channel else { return false }
        let why = reason { () throws(Errno) in
            switch handle {
            case .some(let handle): try send(messages[sent], through: channel, of: handle)
            case .none: throw .noProcess
            }
        }
        if let why {
            if why != .noProcess {
                log.warning("\(name) gets its stop signal, for its Node channel cannot be used: \(why.description)")
            }
            sent = messages.count
            return false
        }
        told = messages[sent]
        sent += 1
        return true
    }

    /// What follows from what has been seen.
    func decide(_ log: Log, in proc: ProcFileSystem) {
        if outcome != nil { return }
        if hasMessages, left.isEmpty, !holdsConnections { tell(log, in: proc) }
        if outcome != nil { return }
        shutForgotten(log, in: proc)
        if hasExited && left.isEmpty {
            outcome = killed.map { .killed($0) } ?? (wasGone ? .alreadyGone : .exited)
        } else if !hasExited && left.isEmpty && order.keepsFinishing && killed == nil && !hasMessages {
            outcome = .retired
        } else if hasExited && !heirsAreKilled && (killed != nil || deadline.hasPassed) {
            killHeirs(log, in: proc)
        } else if deadline.hasPassed {
            if killed == nil { kill(log, in: proc) } else { giveUp() }
        }
    }

    /// It has had its time.
    private func kill(_ log: Log, in proc: ProcFileSystem) {
        left = (try? listenersLeft(order.listeners)) ?? left
        let late: ByteString = "\(order.stopTimeout.description) after \(told)"
        let why: ByteString =
            left.isEmpty ? "it still ran \(late)" : "it still listened on \(described(left)) \(late)"
        // Before its end makes them init's.
        noteDescendants(in: proc)
        // It has closed them, and finishes what it is at: what it had started before, and knows nothing of them, has
        // not.
        if order.keepsFinishing, !left.isEmpty, !isHolder(in: proc) {
            if heirsAreKilled { giveUp() } else { killHeirs(log, in: proc) }
            return
        }
        log.warning("killing \(name): \(why)")
        killed = why
        deadline = Deadline(after: killPatience)
        // ESRCH: it has just ended by itself.
        if let reason = reason({ () throws(Errno) in try signal(SIGKILL) }), reason != .noProcess {
            outcome = .refused("\(name) cannot be killed: \(reason.description); \(why)")
        }
    }

    /// Whether it has a listener itself, as far as can be seen.
    private func isHolder(in proc: ProcFileSystem) -> Bool {
        guard let inodes = try? socketInodes(of: order.process, in: proc) else { return true }
        return left.contains { inodes.contains($0.inode) }
    }

    private func holdersOfLeft(in proc: ProcFileSystem) -> SocketHolders? {
        try? holders(ofSocketInodes: left.map { $0.inode }, in: proc)
    }

    /// With dialect `adopt`, what a program starts before it binds has inherited the listeners at the launcher's numbers,
    /// as the program had, and knows nothing of them. Where they are at no other number any more, nobody closes them.
    private func shutForgotten(_ log: Log, in proc: ProcFileSystem) {
        if left.isEmpty || !glance.hasPassed { return }
        pause = Milliseconds(pause.count * 2)
        glance = min(Deadline(after: pause), deadline)
        guard let holders = holdersOfLeft(in: proc), !holders.found.isEmpty, holders.isComplete,
            holders.found.allSatisfy({ holder in left.contains { mayAdopt($0, holder, in: proc) } })
        else { return }
        log.detail("\(name) has closed \(described(left)); what it has started, and that never used it, had it still")
        shut(left, holders, listensAgain: false)
        left = (try? listenersLeft(order.listeners)) ?? left
    }

    /// It has ended, or closed its listeners, and others have them: those it has started go too, the others are not
    /// ours to end.
    private func killHeirs(_ log: Log, in proc: ProcFileSystem) {
        heirsAreKilled = true
        let holders = holdersOfLeft(in: proc)
        var strangers: [ByteString] = []
        var count = 0
        var seen: [ProcessIdentity] = []
        for holder in holders?.found ?? [] where !seen.contains(holder.process) {
            seen.append(holder.process)
            let isHeir = descendants.contains(holder.process)
            if isHeir, let handle = try? ProcessHandle(to: holder.process, in: proc),
                (try? handle.signal(SIGKILL)) != nil
            {
                log.warning(
                    "killing \(named(holder.process, holder.name)), started by \(name): it still listened on \(described(left))"
                )
                count += 1
            } else {
                strangers.append(named(holder.process, holder.name))
            }
        }
        if count == 0 {
            let who: ByteString = strangers.isEmpty ? "a process that cannot be seen" : joined(strangers, by: ", ")
            let what: ByteString = hasExited ? "ended" : "stopped listening"
            outcome = .refused("\(name) has \(what), but \(who) still listens on \(described(left))")
        } else {
            if killed == nil, hasExited {
                killed = "it had ended, but what it had started still listened on \(described(left))"
            }
            deadline = Deadline(after: killPatience)
        }
    }

    /// Killed, and still there: in a system call that cannot be interrupted, or somebody else has its listeners.
    private func giveUp() {
        let what: ByteString =
            left.isEmpty || !hasExited && killed != nil
            ? "\(name) still runs" : "somebody still listens on \(described(left))"
        outcome = .refused("\(what) \(killPatience.description) after KILL")
    }

    func noteDescendants(in proc: ProcFileSystem) {
        for one in ReusePortKit.descendants(of: order.process, in: proc) where !descendants.contains(one) {
            descendants.append(one)
        }
    }
}

/// How long the kernel may take to end a process.
private let killPatience = Milliseconds.seconds(10)
