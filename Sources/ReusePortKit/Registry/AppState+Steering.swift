import CLinux

// Steering's operations on the registry's records. Changes are written by `store`.

extension AppState {
    /// The listeners of a generation and the copies that hold them, as they are recorded now.
    func listeners(of generation: GenerationRecord) -> GenerationListeners {
        GenerationListeners(
            label: generation.label, bank: generation.bank, balance: generation.balance, copies: generation.copies,
            members: copies(of: generation.id).map { copy in
                GenerationListeners.Member(
                    copy: copy.copy, isServing: copy.state == .ready || copy.state == .live, listeners: copy.listeners,
                    process: copy.process)
            })
    }

    /// The listeners of the generation that gets the connections. If the registry was lost, that is what has served until
    /// now.
    private var liveListeners: GenerationListeners? { (app.live ?? app.found).map { listeners(of: $0) } }

    /// Carries out an operation, and keeps what it learned about the groups even if it fails.
    private func withSteering<Result: ~Copyable>(
        _ body: (inout Steering) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        var steering = app.steering ?? .off
        defer { if app.steering != nil { app.steering = steering } }
        return try body(&steering)
    }
}

// MARK: - Questions

extension AppState {
    /// As `Steering` says; false for an app that is not steered.
    var needsTurn: Bool { app.steering?.needsTurn ?? false }
    var needsHeldListeners: Bool { app.steering?.needsHeldListeners ?? false }
    var resetsQueued: Bool { app.steering?.resetsQueued ?? false }

    /// Whether all connections that wait at these copies move to the live copies of a generation when these close their
    /// listeners.
    func movesQueued(from copies: [CopyRecord], to generation: UInt64) -> Bool {
        guard let steering = app.steering else { return false }
        let others = running(generation).filter { $0.state == .live }.flatMap { $0.listeners }
        return steering.movesQueued(from: copies.flatMap { $0.listeners }, to: others)
    }

    /// Whether one of these copies has a place in a group that others move into when it closes its listener.
    func havePlace(_ copies: [CopyRecord]) -> Bool { app.steering?.hasPlace(copies.flatMap { $0.listeners }) ?? false }

    /// Whether members of these copies' groups have left since connections were directed, so that others than the live
    /// copies may get some.
    func lackMembers(_ copies: [CopyRecord]) -> Bool {
        // Each copy has a listener in all of the groups.
        guard let copy = copies.first else { return false }
        return app.steering?.lackMembers(copy.listeners) ?? false
    }

    /// The order in which these copies of one generation may be stopped: batches of those that may stop together.
    func stopBatches(_ stopping: [CopyRecord]) -> [[CopyRecord]] {
        guard let steering = app.steering, let id = stopping.first?.generation,
            let generation = app.generation(id)
        else { return [stopping] }
        return steering.stopBatches(stopping.map { $0.copy }, of: listeners(of: generation)).map { batch in
            batch.compactMap { number in stopping.first { $0.copy == number } }
        }
    }

    /// `slot 0/2` for each copy of a generation, for `state`; nil for one that has no slot.
    func slotDescriptions(of generation: GenerationRecord) -> [ByteString?] {
        let all = listeners(of: generation)
        return copies(of: generation.id).map { copy in
            guard let steering = app.steering, copy.state < .stopping else { return nil }
            let slot = copy.listeners.first { $0.isInGroup }.flatMap { all.slot(of: $0) }
            return steering.slotDescription(slot ?? Slot(generation.bank, copy: UInt8(copy.copy)))
        }
    }
}

// MARK: - Joining

extension AppState {
    /// Must be called before these listeners join their groups by listen(2).
    func prepareToListen(_ joining: [Listener]) throws(Failure) {
        let live = liveListeners
        if live == nil { return }
        try withSteering { (steering) throws(Failure) in try steering.prepareToListen(joining, live: live) }
    }

    /// Makes sure that the groups of these listeners, which have just joined them, are steered.
    func attach(
        _ name: ByteString, _ choice: SteeringChoice, for id: UInt64, _ joining: [Listener],
        held: borrowing OwnedArray<Placement>
    ) throws(Failure) -> SteeringReport {
        // What a lost registry has left serves until this generation takes over, as servers outside any app do.
        let left = (app.found.map { copies(of: $0.id) } ?? []).filter { $0.state == .live }.flatMap {
            $0.listeners.map { $0.identity.cookie }
        }
        let known = knownCookies(and: joining).filter { !left.contains($0) }
        let request = SteeringRequest(
            app: name, choice: choice,
            balance: app.live?.balance ?? app.generation(id)?.balance ?? .random,
            live: app.live.map { listeners(of: $0) }, nextBank: app.starting?.bank, known: known,
            isInUse: app.steering != nil && copies.contains { $0.state != .ended })
        return try Steering.attach(&app.steering, request, joining, held: held)
    }

    /// Notes that more listeners have joined groups that `attach` has steered in this turn.
    func noteJoined(_ joined: [Listener]) throws(Failure) {
        try withSteering { (steering) throws(Failure) in try steering.noteJoined(joined) }
    }

    /// The cookies of all listeners of copies that have not ended, and of these.
    func knownCookies(and others: [Listener]) -> [UInt64] {
        let recorded = copies.filter { $0.state != .ended }.flatMap { $0.listeners }
        return (recorded + others).map { $0.identity.cookie }
    }

    /// Puts the listeners of a ready copy into the slots of its generation.
    func place(
        _ copy: CopyRecord, of generation: GenerationListeners, held: borrowing OwnedArray<Placement>
    ) throws(Failure) {
        guard let steering = app.steering else { return }
        try step("place", "the listeners of pid \(copy.process.pid)") { () throws(Errno) in
            try steering.place(copy.listeners, of: generation, held: held)
        }
    }
}

// MARK: - Probing

extension AppState {
    /// Reads what probing needs: the app's file, and all files if places matter.
    static func forProbes(_ registry: Registry) -> AppState {
        let state = AppState(readingAppOf: registry)
        return state.needsTurn ? reconciled(registry) : state
    }

    /// Connects to a listener that no client can see yet. The caller holds the app's lock.
    func probe(_ listener: Listener, held: borrowing Descriptor) throws(Failure) -> Descriptor {
        let live = liveListeners
        return try withSteering { (steering) throws(Failure) in try steering.probe(listener, held: held, live: live) }
    }

    /// Writes what probing has learned about the groups.
    func storeProbed(in registry: Registry) throws(Failure) {
        if needsTurn { try registry.store(app) }
    }
}

extension Registry {
    /// Connects to a listener that no client can see yet.
    func probe(_ listener: Listener, held: borrowing Descriptor) throws(Failure) -> Descriptor {
        guard listener.isInGroup else { return try Rename.probe(listener.identity) }
        let lock = try lock()
        let state = AppState.forProbes(self)
        let probe = try state.probe(listener, held: held)
        try state.storeProbed(in: self)
        lock.release(closing: ())
        return probe
    }
}

// MARK: - Switching

extension AppState {
    /// Whether all copies of a generation are ready and alive.
    func isComplete(_ generation: GenerationRecord) -> Bool {
        let ready = running(generation.id).filter { $0.state == .ready }
        return (0..<generation.copies).allSatisfy { copy in ready.contains { $0.copy == copy } }
    }

    /// Makes sure, before anything is switched, that the cutover can publish the paths of these copies.
    func preparePaths(of ready: [CopyRecord]) throws(Failure) {
        try Rename.prepare(united(ready), among: united(copies))
    }

    /// Directs new connections to a generation. The caller then records that with `makeLive`.
    func cutOver(
        to generation: GenerationRecord, _ listeners: [Listener], held: borrowing OwnedArray<Placement>
    ) throws(Failure) {
        let next = self.listeners(of: generation)
        // The groups were steered with the first generation's balance.
        let changesBalance = app.generations.count > 1 && app.live?.balance != generation.balance
        try withSteering { (steering) throws(Failure) in
            try steering.cutOver(to: next, listeners, held: held, changesBalance: changesBalance)
        }
    }

    /// Directs new connections to a generation that had them before. The caller then records that with `makeLive`, and
    /// calls `rollBack`.
    func comeBack(to generation: GenerationRecord) throws(Failure) {
        let next = listeners(of: generation)
        try withSteering { (steering) throws(Failure) in try steering.comeBack(to: next) }
    }

    /// Lets a copy that joined a live generation get connections.
    func grow(
        _ generation: GenerationRecord, by copy: CopyRecord, held: borrowing OwnedArray<Placement>
    ) throws(Failure) {
        guard let grown = resized(generation, to: max(generation.copies, copy.copy + 1)) else { return }
        try withSteering { (steering) throws(Failure) in try steering.grow(to: grown, by: copy.listeners, held: held) }
    }

    /// Directs no more connections to the copies of the live generation with the number `count` or more. Needs no held
    /// listener.
    func shrink(_ generation: GenerationRecord, to count: Int) throws(Failure) {
        guard let rest = resized(generation, to: count) else { return }
        try withSteering { (steering) throws(Failure) in try steering.shrink(to: rest) }
    }

    private func resized(_ generation: GenerationRecord, to count: Int) -> GenerationListeners? {
        app.change(generation.id) { $0.copies = count }
        return app.generation(generation.id).map { listeners(of: $0) }
    }

    /// Directs no more connections to these copies of the live generation; the others get their share.
    func withdraw(_ leaving: [CopyRecord], as state: CopyRecord.State = .stopping) throws(Failure) {
        for copy in leaving {
            let copy = copy.copied
            copy.state = state
            replace(copy)
        }
        guard let id = leaving.first?.generation, let generation = app.generation(id) else { return }
        let rest = listeners(of: generation)
        try withSteering { (steering) throws(Failure) in try steering.withdraw(leaving.map { $0.copy }, of: rest) }
    }

    /// Makes sure that the programs in use are ours, after processes had to be killed.
    func attachAgain() throws(Failure) {
        if let live = liveListeners, let steering = app.steering { try steering.attachAgain(live) }
    }

    /// Directs everything to the live generation again, if there is one, after copies have come, gone or failed.
    func rollBack() throws(Failure) {
        guard let live = liveListeners else { return }
        try withSteering { (steering) throws(Failure) in try steering.rollBack(to: live) }
    }

    /// Directs everything to the live generation again, through these held listeners.
    func rollBack(_ listeners: [Listener], held: borrowing OwnedArray<Placement>) throws(Failure) {
        guard let live = liveListeners else { return }
        try withSteering { (steering) throws(Failure) in try steering.rollBack(to: live, listeners, held: held) }
    }
}

// MARK: - Paths

extension AppState {
    /// Whether a killed cutover had begun to publish a generation, whose copies were ready then.
    func isPublished(_ generation: UInt64) -> Bool { Rename.isPublished(united(running(generation))) }

    /// Corrects the paths of the app's Unix sockets in the file system. The caller holds the app's lock.
    func reconcilePaths() {
        var claims: [Rename.Claim] = []
        for copy in copies {
            let right = right(of: copy)
            let isOver = copy.state == .ended || copy.state == .retired
            for listener in copy.listeners where listener.publicPath != nil {
                let cookie = listener.identity.cookie
                // Copies that share a listener get the best right that any of them has.
                if let index = claims.firstIndex(where: { $0.listener.identity.cookie == cookie }) {
                    if right == .serves || claims[index].right == .none { claims[index].right = right }
                    claims[index].isOver = claims[index].isOver && isOver
                } else {
                    claims.append(
                        Rename.Claim(
                            listener: listener, right: right, isOver: isOver,
                            hasServed: app.generation(copy.generation)?.state != .failed))
                }
            }
        }
        if !claims.isEmpty { Rename.reconcile(claims) }
    }

    /// Decides whether a copy may claim its public paths.
    private func right(of copy: CopyRecord) -> Rename.Claim.Right {
        guard let generation = app.generation(copy.generation),
            generation.state == .live || generation.state == .starting
        else { return .none }
        switch copy.state {
        case .starting, .ready: return .expects
        case .live, .abandoned, .ended:
            guard generation.state == .live, copy.copy < generation.copies else { return .none }
            return copy.state == .live ? .serves : .expects
        case .stopping, .retired: return .none
        }
    }

    /// The public paths that these old copies may remove when they end, although their successors serve them.
    func pathsAtRisk(_ old: [CopyRecord], successors: [CopyRecord]) -> [ByteString] {
        let listeners = old.flatMap { copy in copy.listeners.map { (listener: $0, pid: copy.process.pid) } }
        return Rename.pathsAtRisk(
            listeners.map { $0.listener }, successors: successors.flatMap { $0.listeners },
            user: { try? userID(of: listeners[$0].pid) })
    }

    /// The listeners of copies that have public paths, each once.
    private func united(_ copies: [CopyRecord]) -> [Listener] {
        var result: [Listener] = []
        for listener in copies.flatMap({ $0.listeners }) where listener.publicPath != nil {
            if !result.contains(where: { $0.identity.cookie == listener.identity.cookie }) { result.append(listener) }
        }
        return result
    }
}

// MARK: - Room

/// Makes room for waiting connections at all listeners of these copies that can be borrowed. Returns how many can wait.
func widenBacklogs(of copies: [CopyRecord]) -> Int {
    var room = 0
    var done: [UInt64] = []
    for copy in copies {
        for listener in copy.listeners.map({ $0.identity }) where !done.contains(listener.cookie) {
            done.append(listener.cookie)
            if listener.transport != .tcp { continue }
            let obstacle = reason { () throws(Errno) in
                try borrowListener(listener, first: copy.process) { (held) throws(Errno) in
                    try listen(held, backlog: Int32.max)
                }
            }
            if obstacle == nil { room += acceptLimit(of: listener) }
        }
    }
    return room
}
