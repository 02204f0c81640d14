import CLinux

/// The locks under which copies are registered, what is known of the app, and the generation to enter.
struct Turn: ~Copyable {
    let lock: Descriptor
    /// The right to change the groups, where places in them matter.
    let groups: Descriptor?
    /// Keeps other apps from our addresses until our listeners are recorded.
    let addresses: Descriptor?
    let state: AppState
    let generation: UInt64

    /// Lets others have their turn. Copies that were forked meanwhile hold these descriptors until their exec, so it is not
    /// enough to close them.
    consuming func end() {
        flock(lock.number, LOCK_UN)
        unlock(groups)
        unlock(addresses)
    }

    private borrowing func unlock(_ lock: borrowing Descriptor?) {
        switch lock {
        case .some(let lock): flock(lock.number, LOCK_UN)
        case .none: break
        }
    }
}

/// Waits until no other generation is on its way, and finds the generation for these copies, or makes it.
func awaitTurn(
    _ registry: Registry, _ request: AppRequest, _ copies: borrowing OwnedArray<PreparedCopy>,
    _ report: Reporter
) throws(Failure) -> Turn {
    let wait = try TurnWait(request, copies)
    while true {
        if let turn = try wait.takeTurn(registry, report) { return turn }
    }
}

/// The wait of copies for their turn.
private final class TurnWait {
    let request: AppRequest
    let runDirectory: ByteString
    var numbers: [Int] = []
    var listeners: [Listener] = []
    let listenersOfFirst: [Listener]
    /// How long the user wants to wait for other generations of this app (`--lock-timeout`).
    let deadline: Deadline
    /// Other apps hold the lock of addresses for moments only, so they get 10 seconds in any case.
    let deadlineForOthers: Deadline
    var deadlineForRecords: Deadline
    /// An old copy that does not end is no reason not to start a new one.
    var deadlineForGroups: Deadline?
    /// The live generation that copies of this label are for. Another one may replace it before it is their turn.
    var meant: UInt64?
    var hasEndedFailed = false
    var hasAwaitedThreads = false
    var isPrepared = false

    init(_ request: AppRequest, _ copies: borrowing OwnedArray<PreparedCopy>) throws(Failure) {
        self.request = request
        runDirectory = try ReusePortKit.runDirectory(of: request)
        listenersOfFirst = copies[0].listeners
        deadline = Deadline(after: request.lockTimeout)
        deadlineForOthers = max(deadline, Deadline(after: .seconds(10)))
        deadlineForRecords = deadline
        for index in 0..<copies.count {
            numbers.append(copies[index].number)
            listeners += copies[index].listeners
        }
    }

    /// Takes the locks; nil if others have their turn, after a wait.
    func takeTurn(_ registry: Registry, _ report: Reporter) throws(Failure) -> Turn? {
        let lock = try registry.lock(until: deadlineForRecords)
        // Copies of another app that registers before us would look like copies that our registry has lost.
        let addresses: Descriptor?
        do throws(Failure) {
            addresses = try lockAddresses(of: request.name, in: runDirectory)
        } catch {
            if error.code != .negative || deadlineForOthers.hasPassed { throw error }
            // While another app has that lock, our own helpers take turns with the records, for which nobody is to
            // blame either.
            deadlineForRecords = deadlineForOthers
            lock.release(closing: ())
            // flock(2) tells nobody when a lock is free.
            _ = poll(nil, 0, 20)
            return nil
        }
        try refuseOtherApps(visible(listeners), of: request.name, in: runDirectory)
        let state = AppState.reconciled(registry)
        let joining = listeners.map { $0.identity.cookie }
        for label in state.recover(listenersOfFirst, joining: joining, in: registry) {
            report(.recovered(label))
        }
        if state.needsTurn, !hasEndedFailed, !state.failedThatRun.isEmpty {
            hasEndedFailed = true
            try endFailed(state, lock, addresses, registry, report)
            return nil
        }
        if let live = state.app.live, live.label == request.generation { meant = live.id }
        try state.refuseLate(request, registry)
        if !hasAwaitedThreads, let process = state.ending(request.generation, numbers) {
            hasAwaitedThreads = true
            lock.release(closing: ())
            addresses.release()
            process.awaitLastThread(within: .seconds(1))
            return nil
        }
        // For this a listener may have to be borrowed, which a hostile copy can delay: no other app waits meanwhile.
        if !isPrepared, state.needsTurn, let groups = try state.lockGroups(in: registry, within: Milliseconds(0)) {
            isPrepared = true
            addresses.release()
            try state.prepareToListen(listenersOfFirst)
            try state.store(in: registry)
            groups.release(closing: ())
            lock.release(closing: ())
            return nil
        }
        switch try state.choose(request, numbers) {
        case .wait(let label):
            addresses.release()
            try state.store(in: registry)
            lock.release(closing: ())
            guard !deadline.hasPassed else { throw isTakingOver(label, request.name) }
            awaitChange(of: registry, until: deadline) { registry.loadApp()?.starting == nil }
            return nil
        case .enter(let id):
            if let meant, meant != id {
                throw Failure(
                    .negative, "join", "generation \(request.generation ?? "")",
                    "another one has taken over from it meanwhile",
                    remedy: "start it again if it should take over in turn")
            }
            let groups = try state.lockGroups(in: registry, within: Milliseconds(0))
            if groups == nil, state.needsTurn, mayWaitForGroups() {
                lock.release(closing: ())
                addresses.release()
                // flock(2) tells nobody when a lock is free.
                _ = poll(nil, 0, 20)
                return nil
            }
            return Turn(lock: lock, groups: groups, addresses: addresses, state: state, generation: id)
        }
    }

    /// Ends the copies of generations that failed before ours join the groups: those who stand behind live copies then
    /// are the last, and none of ours moves.
    private func endFailed(
        _ state: AppState, _ lock: consuming Descriptor, _ addresses: consuming Descriptor?,
        _ registry: Registry, _ report: Reporter
    ) throws(Failure) {
        // What follows changes our own groups alone, and may borrow listeners: no other app waits meanwhile.
        addresses.release()
        do throws(Failure) {
            // If their coordinator was killed between the cutover and its record, they get connections.
            try state.rollBack()
        } catch {
            // Without the right to borrow a listener it is done as soon as ours have joined.
            return
        }
        try state.store(in: registry)
        lock.release(closing: ())
        try state.endFailedGenerations(settle: request.settle, in: registry, report)
    }

    private func mayWaitForGroups() -> Bool {
        let limit = deadlineForGroups ?? min(deadline, Deadline(after: .seconds(10)))
        deadlineForGroups = limit
        return !limit.hasPassed
    }
}

/// The failure of a wait for another generation that takes too long.
func isTakingOver(_ label: ByteString, _ app: ByteString) -> Failure {
    Failure(
        .negative, "start", "a generation of app \(app)", "generation \(label) is taking over",
        remedy: "wait for it, or longer with --lock-timeout")
}

/// Waits until the app's file changes, for 100 ms at most, because no file changes when a coordinator is killed.
/// `hasHappened` tells whether it changed before the watch began.
@inline(never)
func awaitChange(of registry: Registry, until deadline: Deadline, unless hasHappened: () -> Bool) {
    let soon = min(deadline, Deadline(after: Milliseconds(100)))
    guard let changes = try? FileWatch(ofApp: registry) else {
        // Without inotify (too many watches) the file is read now and then.
        _ = poll(nil, 0, min(soon, Deadline(after: Milliseconds(20))).pollTimeout)
        return
    }
    if !hasHappened() { changes.wait(until: soon) }
}

/// The generation that copies can enter now.
private enum Choice {
    case enter(UInt64)
    /// None, because the generation of this label is on its way.
    case wait(ByteString)
}

extension AppState {
    /// Refuses a copy that comes when its deploy has given up: it would make another generation of the same label.
    fileprivate func refuseLate(_ request: AppRequest, _ registry: Registry) throws(Failure) {
        guard let label = request.generation, registry.loadUnfinished() == label else { return }
        let last = app.generations.last { $0.label == label }
        if last?.state == .starting || last?.state == .live { return }
        // Deploy has recorded the generation that it waits for, under an id that is higher than those before.
        if registry.loadDeployments().contains(where: { $0.label == label && $0.generation > last?.id ?? 0 }) { return }
        throw Failure(.negative, "join", "generation \(label)", "it has failed")
    }

    /// Finds the generation for these copies, or makes it.
    fileprivate func choose(_ request: AppRequest, _ copies: [Int]) throws(Failure) -> Choice {
        if let starting = app.starting {
            guard starting.label == request.generation else { return .wait(starting.label) }
            guard starting.copies == request.copies else {
                throw Failure(
                    .usage, "join", "generation \(starting.label)",
                    "its first copy said --copies \(starting.copies), this one says \(request.copies)")
            }
            try agreeOnBalance(request, starting)
            return .enter(try free(copies, in: starting))
        }
        if let wanted = request.joins, app.live?.id != wanted {
            throw Failure(
                .negative, "add", "to generation \(request.generation ?? "")", "it is not live any more")
        }
        if let live = app.live, live.label == request.generation {
            try agreeOnBalance(request, live)
            return .enter(try free(copies, in: live))
        }
        app.lastID += 1
        let label: ByteString
        if let given = request.generation { label = given } else { label = unusedNumber() }
        app.generations.append(
            GenerationRecord(
                id: app.lastID, label: label, copies: request.copies, bank: app.live?.bank.other ?? .first,
                balance: request.balance ?? .random, state: .starting, since: secondsSince1970()))
        return .enter(app.lastID)
    }

    /// A process that has one of these places and whose first thread has ended: after a kill or exit the others follow
    /// within a moment.
    fileprivate func ending(_ label: ByteString?, _ numbers: [Int]) -> ProcessIdentity? {
        guard let generation = app.starting ?? app.live, generation.label == label else { return nil }
        let running = copies(of: generation.id).filter { numbers.contains($0.copy) && !$0.hasGone }
        return running.map { $0.process }.first { (try? ProcessStatus(of: $0.pid))?.hasEnded == true }
    }

    /// One program serves all copies: another balance would be that of all of them.
    private func agreeOnBalance(_ request: AppRequest, _ generation: GenerationRecord) throws(Failure) {
        guard let known = generation.balance else {
            app.change(generation.id) { $0.balance = request.balance ?? .random }
            return
        }
        guard let asked = request.balance, asked != known else { return }
        throw Failure(
            .usage, "join", "generation \(generation.label)",
            "its copies have --balance \(known.name), this one says \(asked.name)",
            remedy: "leave --balance out, or choose another --generation")
    }

    /// Whether the copies' places are empty.
    private func free(_ numbers: [Int], in generation: GenerationRecord) throws(Failure) -> UInt64 {
        if let running = copies(of: generation.id).first(where: { numbers.contains($0.copy) && !$0.hasGone }) {
            throw Failure(
                .usage, "start", "copy \(running.copy) of generation \(generation.label)",
                "it runs as pid \(running.process.pid)",
                remedy: "choose another --generation to replace it")
        }
        return generation.id
    }

    /// One more than the largest number that is a label, or the generation's own.
    func unusedNumber() -> ByteString {
        let largest = app.generations.compactMap { $0.label.decimal }.max() ?? 0
        return ByteString(decimal: max(app.lastID, largest &+ 1))
    }
}
