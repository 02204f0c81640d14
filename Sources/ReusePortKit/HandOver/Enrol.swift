import CLinux

/// A copy that has its place in a generation, and whose listeners are open: what the helper needs to know.
struct Enrolment: ~Copyable {
    let registry: Registry
    /// The copy: this process, before its exec and after.
    let process: ProcessHandle
    let request: AppRequest
    let generation: GenerationRecord
    var record: CopyRecord
    var channel: ReadinessChannel
    let exec: ExecChannel
    let log: Log
}

/// Finds the copy's generation, listens, registers both, and starts the helper: all under the app's lock.
///
/// Until now the sockets are bound only, and no connection can have come to them. From listen(2) on they are members of
/// their reuseport groups; a program that is attached there already keeps connections from them.
func enrol(
    _ request: AppRequest, _ plan: Plan, _ sockets: borrowing OwnedArray<Placement>, _ addresses: [SocketAddress],
    channel: consuming ReadinessChannel, exec: consuming ExecChannel
) throws(Failure) -> Enrolment {
    let registry = try openRegistry(of: request)
    // Held from now on: what the helper then watches is this process, even if it ends at once.
    let process = try watchProcess(getpid())
    let listeners = try identify(plan, sockets, addresses)
    try refuseOtherApps(visible(listeners), of: request.name, in: try runDirectory(of: request))
    var log = Log(descriptor: request.logDescriptor, verbosity: request.verbosity, subject: request.name)
    var turn = try awaitTurn(
        registry, request, copies: [request.copy], listeners, ours: listeners.map { $0.identity.cookie }, log)
    let order = turn.generation
    turn.state.tellOfPredecessor(order, request.copy, log)
    let group = try turn.state.makeGroup(request, order, process.identity, in: registry)
    do throws(Failure) {
        var record = try turn.state.enter(
            order, process.identity, request, plan, sockets, listeners, log, isFirst: true)
        record.group = group
        record.channel = try turn.state.channel(channel, of: record, request, plan)
        guard let generation = turn.state.app.generation(order) else { throw Failure("find", "generation", .noEntry) }
        log.subject = "\(request.name) \(generation.label)"
        var enrolment = Enrolment(
            registry: try registry.duplicate(), process: process, request: request, generation: generation,
            record: record, channel: channel, exec: exec, log: log)
        // Before anything is written: whoever reads of a copy without a helper takes it that it was killed.
        enrolment.record.helper = try startHelper(enrolment, sockets)
        turn.state.replace(enrolment.record)
        try turn.state.store(in: enrolment.registry)
        return enrolment
    } catch {
        takeBack(group, in: registry)
        throw error
    }
}

func runDirectory(of request: AppRequest) throws(Failure) -> ByteString {
    if let given = request.runDirectory { return given }
    return try defaultRunDirectory()
}

/// The app's folder, made if need be.
func openRegistry(of request: AppRequest) throws(Failure) -> Registry {
    let directory = try runDirectory(of: request)
    guard let registry = try Registry.open(request.name, in: directory, create: true) else {
        throw Failure("open", directory, .noEntry)
    }
    return registry
}

func watchProcess(_ pid: Int32) throws(Failure) -> ProcessHandle {
    try step("watch", "pid \(pid)", remedy: { _ in "--app needs /proc, and Linux 5.3" }) { () throws(Errno) in
        try ProcessHandle(to: pid)
    }
}

/// Listeners as clients see them.
func visible(_ listeners: [CopyRecord.Listener]) -> [ListenerIdentity] {
    listeners.map { listener in
        var identity = listener.identity
        if let path = listener.publicPath { identity.address = .unix(path) }
        return identity
    }
}

/// The lock of an app, with what is known of it, and the generation that may be entered now.
struct Turn: ~Copyable {
    let lock: Descriptor
    /// That of the groups, at level 2.
    let groups: Descriptor?
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
    // An old copy that does not end is no reason not to start a new one.
    var patience: Deadline?
    // The live generation of this label when we came, which others may have replaced when it is our turn.
    var meant: UInt64?
    while true {
        let lock = try registry.lock(until: deadline)
        var state = AppState.mended(registry)
        state.recover(listeners.map { $0.identity }, ours: ours, log: log)
        if let live = state.app.live, live.label == request.generation { meant = live.order }
        switch try state.choose(request, copies) {
        case .wait(let label):
            try state.store(in: registry)
            lock.release(closing: ())
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
            let groups = try state.turnInGroups(registry, Milliseconds(0))
            let limit = patience ?? min(deadline, Deadline(after: .seconds(10)))
            patience = limit
            if groups == nil, case .index? = state.app.steering, !limit.hasPassed {
                lock.release(closing: ())
                _ = poll(nil, 0, 20)
                continue
            }
            return Turn(lock: lock, groups: groups, state: state, generation: order)
        }
    }
}

extension Descriptor {
    /// Closes it now rather than at the end of its scope.
    consuming func release(closing: Void) {}
}

extension Optional where Wrapped == Descriptor, Wrapped: ~Copyable {
    /// The same, if there is one.
    consuming func release() {}
}

/// The sockets as the kernel and the registry know them.
func identify(
    _ plan: Plan, _ sockets: borrowing OwnedArray<Placement>, _ addresses: [SocketAddress]
) throws(Failure) -> [CopyRecord.Listener] {
    var listeners: [CopyRecord.Listener] = []
    for (index, socket) in plan.sockets.enumerated() {
        let cookie = try step("identify", "socket \(socket.name)") { () throws(Errno) in
            try socketCookie(of: sockets[index].source)
        }
        let identity = ListenerIdentity(
            name: socket.name, transport: socket.transport, address: addresses[index], isDualStack: socket.isDualStack,
            cookie: cookie)
        listeners.append(CopyRecord.Listener(identity: identity, publicPath: socket.address.path))
    }
    return listeners
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

    /// Listens and registers. `isFirst`: of those that enter in this turn; for the others the groups are steered already.
    mutating func enter(
        _ order: UInt64, _ process: ProcessIdentity, _ request: AppRequest, _ plan: Plan,
        _ sockets: borrowing OwnedArray<Placement>,
        _ listeners: [CopyRecord.Listener], _ log: Log, isFirst: Bool
    ) throws(Failure) -> CopyRecord {
        let ours = copies.flatMap { $0.listeners.map { $0.identity.cookie } }
        for (socket, listener) in zip(plan.sockets, listeners) {
            guard let path = listener.publicPath else { continue }
            var socket = socket
            socket.address = .unix(path)
            try refuseForeignPath(path, socket, ours: ours)
        }
        try checkNames(listeners)
        if isFirst { try closeHoles(listeners.map { $0.identity }) }
        for (index, socket) in plan.sockets.enumerated() { try listenIfWanted(sockets[index].source, socket) }
        if isFirst {
            try steer(request, order, sockets, listeners.map { $0.identity }, log)
        } else {
            try followGroups(listeners.map { $0.identity })
        }
        var record = CopyRecord(
            generation: order, copy: request.copy, process: process, helper: nil, state: .starting,
            since: secondsSince1970(), listeners: listeners, supervisor: Supervisor.current(),
            stopSignal: request.stopSignal, stopTimeout: request.stopTimeout, nice: request.retiredNice)
        record.settle = request.settle
        // Whether it runs for long enough to be through with crashing is seen at its end.
        record.crashes = copies.first { $0.fileName == record.fileName }?.crashes
        replace(record)
        return record
    }

    /// Level 2: where a copy has left since the program was told, its place, or the one behind the last, could be ours as
    /// soon as we listen, and connections come before we can tell the program.
    private mutating func closeHoles(_ listeners: [ListenerIdentity]) throws(Failure) {
        guard case .index(let known)? = app.steering, let live = app.live else { return }
        try followGroups(listeners)
        guard case .index(let present)? = app.steering, present != known else { return }
        do throws(Failure) {
            try redirect(to: live.order)
        } catch {
            // Of copies that we may not trace nothing can be borrowed: then it is done with our own, a moment later.
        }
    }

    /// Slots and places are found by the socket's name: under another one, the running copies would not be found, and
    /// clients be directed to this one before it is ready.
    private func checkNames(_ listeners: [CopyRecord.Listener]) throws(Failure) {
        for copy in copies where copy.state != .ended && copy.state != .retired {
            for known in copy.listeners where known.identity.transport != .unix {
                guard
                    let ours = listeners.first(where: {
                        $0.identity.transport == known.identity.transport
                            && $0.identity.address == known.identity.address
                            && $0.identity.name != known.identity.name
                    })
                else { continue }
                throw Failure(
                    .usage, "hand over", "socket \(ours.identity.name)",
                    "pid \(copy.process.pid) has the same address under the name \(known.identity.name)",
                    remedy: "keep the name, or stop the running generation first")
            }
        }
    }

    /// Makes sure that the groups of these listeners are steered.
    private mutating func steer(
        _ request: AppRequest, _ order: UInt64, _ sockets: borrowing OwnedArray<Placement>,
        _ listeners: [ListenerIdentity], _ log: Log
    ) throws(Failure) {
        guard listeners.contains(where: { $0.transport != .unix }) else {
            // Unix sockets are handed over by rename(2) and need no steering.
            if app.steering == nil { app.steering = .off }
            return
        }
        let inUse = app.steering.map { $0.name }
        if let inUse, request.steering != .automatic, inUse != request.steering.name, isSteeredAlready {
            throw Failure(
                .usage, "steer", "app \(request.name) by \(request.steering.name)",
                "its running copies are steered by \(inUse)",
                remedy: "stop them first, or leave --steering out")
        }
        if !isSteeredAlready { app.steering = nil }
        // The live generation keeps its own until it is replaced.
        let balance = app.live?.balance ?? app.generation(order)?.balance ?? .random
        switch app.steering {
        case .index?:
            try followGroups(listeners)
            // Where a copy has died, its place is another's now, and ours could be one that gets connections.
            if let live = app.live { try redirect(to: live.order, listeners, sockets) }
        case .off?:
            break
        case .twoBanks(let id, let slots)?:
            var maps = try step("open", "the maps of app \(request.name)") { () throws(Errno) in
                try AppMaps(selector: id, slots: slots)
            }
            try attach(&maps, balance, sockets, listeners)
        case nil:
            try beginSteering(request, balance, sockets, listeners, log)
        }
    }

    /// Whether a running copy depends on the level that is in use.
    private var isSteeredAlready: Bool {
        app.steering != nil && copies.contains { $0.state != .ended }
    }

    /// Chooses the level.
    private mutating func beginSteering(
        _ request: AppRequest, _ balance: Balance, _ sockets: borrowing OwnedArray<Placement>,
        _ listeners: [ListenerIdentity], _ log: Log
    ) throws(Failure) {
        switch request.steering {
        case .off:
            app.steering = .off
        case .cbpf:
            app.steering = .index([])
            try followGroups(listeners)
        case .ebpf:
            var maps = try step(
                "make", "the maps of app \(request.name)",
                remedy: { $0 == .notPermitted ? "it takes root, or --steering cbpf" : nil }
            ) {
                () throws(Errno) in try AppMaps()
            }
            try attach(&maps, balance, sockets, listeners, adopting: log)
        case .automatic:
            do throws(Errno) {
                var maps = try AppMaps()
                do throws(Failure) {
                    try attach(&maps, balance, sockets, listeners, adopting: log)
                    return
                } catch {
                    log.detail("\(error.message); level 2 then")
                }
            } catch {
                // No privilege, or no such maps in this kernel: then level 2, which needs nothing.
            }
            app.steering = .index([])
            try followGroups(listeners)
        }
    }

    private mutating func attach(
        _ maps: inout AppMaps, _ balance: Balance, _ sockets: borrowing OwnedArray<Placement>,
        _ listeners: [ListenerIdentity], adopting log: Log? = nil
    ) throws(Failure) {
        for listener in listeners where listener.transport != .unix {
            try step("make", "the slots of socket \(listener.name)") { () throws(Errno) in try maps.add(listener.name) }
        }
        if let log, let bank = app.starting?.bank {
            adopt(maps, listeners, ours: listeners.map { $0.cookie }, avoiding: bank, log: log)
        }
        try maps.attach(to: listeners, sockets, balance)
        app.steering = maps.steering
    }
}
