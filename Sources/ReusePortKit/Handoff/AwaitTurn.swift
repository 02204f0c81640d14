import CLinux

/// The lock of an app, with what is known of it, and the generation that may be entered now.
struct Turn: ~Copyable {
    let lock: Descriptor
    /// That of the groups, where places in them matter.
    let groups: Descriptor?
    /// That of all apps, until what listens is written down.
    let addresses: Descriptor?
    var state: AppState
    let generation: UInt64
}

/// That another generation is on its way for longer than anybody wants to wait.
func isTakingOver(_ label: ByteString, _ app: ByteString) -> Failure {
    Failure(
        .negative, "start", "a generation of app \(app)", "generation \(label) is taking over",
        remedy: "wait for it, or longer with --lock-timeout")
}

/// Waits until no other generation is on its way, and finds the one for these copies, or makes it.
///
/// `ours` are the cookies of all sockets that are about to listen.
func awaitTurn(
    _ registry: borrowing Registry, _ request: AppRequest, copies: [Int], _ listeners: [CopyRecord.Listener],
    ours: [UInt64], _ log: Log
) throws(Failure) -> Turn {
    let deadline = Deadline(after: request.lockTimeout)
    // What the user is impatient with is another generation of the app; other apps are waited for in any case.
    let patienceWithOthers = max(deadline, Deadline(after: .seconds(10)))
    var patienceWithLock = deadline
    // An old copy that does not end is no reason not to start a new one.
    var patience: Deadline?
    // The live generation of this label when we came, which others may have replaced when it is our turn.
    var meant: UInt64?
    while true {
        let lock = try registry.lock(until: patienceWithLock)
        // Copies of another app that has been quicker would be taken for ones that our registry has lost.
        let addresses: Descriptor?
        do throws(Failure) {
            addresses = try lockAddresses(request)
        } catch {
            // While others have it, our helpers are to get the app's: nor is it their fault when time has passed.
            if error.code != .negative || patienceWithOthers.hasPassed { throw error }
            patienceWithLock = patienceWithOthers
            lock.release(closing: ())
            _ = poll(nil, 0, 20)
            continue
        }
        try refuseOtherApps(visible(listeners), of: request.name, in: try runDirectory(of: request))
        var state = AppState.mended(registry)
        for label in state.recover(listeners, joining: ours) {
            log.warning("the registry had lost a generation; it is recovered as \(label)")
        }
        if let live = state.app.live, live.label == request.generation { meant = live.order }
        switch try state.choose(request, copies) {
        case .wait(let label):
            try state.store(in: registry)
            lock.release(closing: ())
            addresses.release()
            guard !deadline.hasPassed else {
                throw isTakingOver(label, request.name)
            }
            _ = poll(nil, 0, 20)
        case .enter(let order):
            if let meant, meant != order {
                throw Failure(
                    .negative, "join", "generation \(request.generation ?? "")",
                    "another one has taken over from it meanwhile",
                    remedy: "start it again if it is to take over in turn")
            }
            let groups = try state.lockGroups(in: registry, within: Milliseconds(0))
            let limit = patience ?? min(deadline, Deadline(after: .seconds(10)))
            patience = limit
            if groups == nil, state.needsTurn, !limit.hasPassed {
                lock.release(closing: ())
                addresses.release()
                _ = poll(nil, 0, 20)
                continue
            }
            return Turn(lock: lock, groups: groups, addresses: addresses, state: state, generation: order)
        }
    }
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
        if let wanted = request.joins, app.live?.order != wanted {
            throw Failure(
                .negative, "add", "to generation \(request.generation ?? "")", "it is not live any more")
        }
        if let live = app.live, live.label == request.generation {
            try agreeOnBalance(request, live)
            return .enter(try free(copies, in: live))
        }
        app.sequence += 1
        let label: ByteString
        if let given = request.generation { label = given } else { label = unusedNumber() }
        app.generations.append(
            GenerationRecord(
                order: app.sequence, label: label, copies: request.copies, bank: app.live?.bank.other ?? .first,
                balance: request.balance ?? .random, state: .starting, since: secondsSince1970()))
        return .enter(app.sequence)
    }

    /// One program serves all copies: another balance would be that of all of them.
    private mutating func agreeOnBalance(_ request: AppRequest, _ generation: GenerationRecord) throws(Failure) {
        guard let known = generation.balance else {
            app.change(generation.order) { $0.balance = request.balance ?? .random }
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
        if let running = running(generation.order).first(where: { copies.contains($0.copy) }) {
            throw Failure(
                .usage, "start", "copy \(running.copy) of generation \(generation.label)",
                "it runs as pid \(running.process.pid)",
                remedy: "choose another --generation to replace it")
        }
        return generation.order
    }

    /// One more than the largest number that is a label, or the generation's own.
    func unusedNumber() -> ByteString {
        let largest = app.generations.compactMap { $0.label.decimal }.max() ?? 0
        return ByteString(decimal: max(app.sequence, largest &+ 1))
    }
}
