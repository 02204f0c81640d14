import CLinux

/// The locks under which copies are registered, what is known of the app, and the generation to enter.
struct Turn: ~Copyable {
    let lock: Descriptor
    /// The right to change the groups, where places in them matter.
    let groups: Descriptor?
    /// Keeps other apps from our addresses until our listeners are written down.
    let addresses: Descriptor?
    let state: AppState
    let generation: UInt64

    /// Lets others have their turn.
    consuming func end() {}
}

/// That another generation is on its way for longer than anybody wants to wait.
func isTakingOver(_ label: ByteString, _ app: ByteString) -> Failure {
    Failure(
        .negative, "start", "a generation of app \(app)", "generation \(label) is taking over",
        remedy: "wait for it, or longer with --lock-timeout")
}

/// Waits until no other generation is on its way, and finds the generation for these copies, or makes it.
func awaitTurn(
    _ registry: borrowing Registry, _ request: AppRequest, _ copies: borrowing OwnedArray<StartedCopy>,
    _ report: Reporter
) throws(Failure) -> Turn {
    var numbers: [Int] = []
    var listeners: [Listener] = []
    for index in 0..<copies.count {
        numbers.append(copies[index].number)
        listeners += copies[index].listeners
    }
    let cookies = listeners.map { $0.identity.cookie }
    let first = copies[0].listeners
    // The user's patience (--lock-timeout) is for other generations of this app. Other apps hold the lock of addresses
    // for moments only, and are waited for in any case.
    let deadline = Deadline(after: request.lockTimeout)
    let patienceWithOthers = max(deadline, Deadline(after: .seconds(10)))
    var patienceWithLock = deadline
    // An old copy that does not end is no reason not to start a new one.
    var patienceWithGroups: Deadline?
    // The live generation of this label when we came: another may have replaced it by the time it is our turn.
    var meant: UInt64?
    while true {
        let lock = try registry.lock(until: patienceWithLock)
        // Held until ours are written down: copies of another app that registers first would look like copies that our
        // registry has lost.
        let addresses: Descriptor?
        do throws(Failure) {
            addresses = try lockAddresses(of: request.name, in: try runDirectory(of: request))
        } catch {
            if error.code != .negative || patienceWithOthers.hasPassed { throw error }
            // While another app has that lock, our own helpers are to get the app's; nor is it their fault when time
            // has passed.
            patienceWithLock = patienceWithOthers
            lock.release(closing: ())
            // flock(2) tells nobody when a lock is free.
            _ = poll(nil, 0, 20)
            continue
        }
        try refuseOtherApps(visible(listeners), of: request.name, in: try runDirectory(of: request))
        var state = AppState.reconciled(registry)
        for label in state.recover(first, joining: cookies) { report(.recovered(label)) }
        if let live = state.app.live, live.label == request.generation { meant = live.id }
        switch try state.choose(request, numbers) {
        case .wait(let label):
            try state.store(in: registry)
            lock.release(closing: ())
            addresses.release()
            guard !deadline.hasPassed else { throw isTakingOver(label, request.name) }
            awaitChange(of: registry, until: deadline) { registry.loadApp()?.starting == nil }
        case .enter(let id):
            if let meant, meant != id {
                throw Failure(
                    .negative, "join", "generation \(request.generation ?? "")",
                    "another one has taken over from it meanwhile",
                    remedy: "start it again if it is to take over in turn")
            }
            let groups = try state.lockGroups(in: registry, within: Milliseconds(0))
            let limit = patienceWithGroups ?? min(deadline, Deadline(after: .seconds(10)))
            patienceWithGroups = limit
            if groups == nil, state.needsTurn, !limit.hasPassed {
                lock.release(closing: ())
                addresses.release()
                _ = poll(nil, 0, 20)
                continue
            }
            return Turn(lock: lock, groups: groups, addresses: addresses, state: state, generation: id)
        }
    }
}

/// Waits until the app's file changes, for 100 ms at most: that a coordinator was killed changes no file. `hasHappened`
/// tells whether it changed before the watch began.
func awaitChange(of registry: borrowing Registry, until deadline: Deadline, unless hasHappened: () -> Bool) {
    let soon = min(deadline, Deadline(after: Milliseconds(100)))
    guard let changes = try? FileWatch(ofApp: registry) else {
        // There are too many inotify watches.
        _ = poll(nil, 0, min(soon, Deadline(after: Milliseconds(20))).pollTimeout)
        return
    }
    if !hasHappened() { changes.wait(until: soon) }
}

/// Which generation a copy is to enter.
private enum Choice {
    case enter(UInt64)
    /// Another generation is on its way.
    case wait(ByteString)
}

extension AppState {
    /// Finds the generation for these copies, or makes it.
    fileprivate mutating func choose(_ request: AppRequest, _ copies: [Int]) throws(Failure) -> Choice {
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

    /// One program serves all copies: another balance would be that of all of them.
    private mutating func agreeOnBalance(_ request: AppRequest, _ generation: GenerationRecord) throws(Failure) {
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
    private func free(_ copies: [Int], in generation: GenerationRecord) throws(Failure) -> UInt64 {
        if let running = running(generation.id).first(where: { copies.contains($0.copy) }) {
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
