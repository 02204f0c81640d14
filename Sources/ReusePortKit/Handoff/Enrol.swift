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

extension AppState {
    /// Listens and registers. `isFirst`: of those that enter in this turn; for the others the groups are steered
    /// already.
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
        if isFirst { try prepareToListen(listeners) }
        for (index, socket) in plan.sockets.enumerated() { try listenIfWanted(sockets[index].source, socket) }
        if isFirst {
            let report = try attach(request.name, request.steering, for: order, listeners, held: sockets)
            if let reason = report.fallback { log.detail("\(reason.message); steered by cbpf then") }
            for one in report.foreign {
                log.warning(
                    """
                    pid \(one.holder.process.pid) (\(one.holder.name)) listens on socket \(one.name) and belongs to no \
                    generation: it gets connections until this one takes over, and none after that; stop it then
                    """)
            }
        } else {
            try noteJoined(listeners)
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
}
