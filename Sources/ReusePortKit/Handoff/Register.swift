import CLinux

/// What registration depends on: who coordinates the members.
enum CoordinatorStart {
    /// The launcher: forks the helper, and goes on to become the copy.
    case besideThisProcess
    /// `deploy` and `scale`: this process coordinates the copies that it has started.
    case thisProcess
}

/// Registers copies in their generation, and lets them listen: all in one turn under the app's lock.
///
/// Until now the sockets are bound only, and no connection can have come to them. From listen(2) on they are members of
/// their reuseport groups; a program that is attached there already keeps connections from them.
///
/// Where a helper is to coordinate them, it is started here, and does not return.
func register(
    _ started: consuming OwnedArray<StartedCopy>, _ plan: Plan, _ request: AppRequest,
    in registry: borrowing Registry, _ start: CoordinatorStart, _ report: Reporter
) throws(Failure) -> Coordinator {
    var started = started
    let turn = try awaitTurn(registry, request, started, report)
    var state = turn.state
    guard let generation = state.app.generation(turn.generation) else {
        throw Failure("find", "generation", .noEntry)
    }
    var numbers: [Int] = []
    for index in 0..<started.count { numbers.append(started[index].number) }
    report(.registered(label: generation.label, copies: numbers))
    var groups: [CopyGroup] = []
    do throws(Failure) {
        let interruptions = try watchEnds(of: started, start)
        var members = OwnedArray<Member>()
        while started.count > 0 {
            let copy = started.remove(at: 0)
            if let old = state.predecessor(generation.id, copy.number) {
                report(.predecessor(copy: copy.number, pid: old.process.pid, old.reason ?? .unknown))
            }
            var record = state.newRecord(of: copy, in: generation.id, request)
            record.group = try state.makeGroup(
                request.memoryLimits, for: record, under: Supervisor.current(), in: registry)
            if let group = record.group { groups.append(group) }
            if members.count == 0 { try state.prepareToListen(copy.listeners) }
            try state.checkAddresses(copy.listeners, plan)
            for (index, socket) in plan.sockets.enumerated() { try listenIfWanted(copy.sockets[index].source, socket) }
            if members.count == 0 {
                let found = try state.attach(
                    request.name, request.steering, for: generation.id, copy.listeners, held: copy.sockets)
                report(found)
            } else {
                // The groups are steered by now.
                try state.noteJoined(copy.listeners)
            }
            // Whoever supervises the command does not supervise the copies that it leaves behind.
            if case .besideThisProcess = start { record.supervisor = Supervisor.current() }
            record.channel = try state.channel(copy.channel, of: record, request, plan)
            state.replace(record)
            members.append(Member(copy: copy, record: record))
        }
        let role: Coordinator.Role =
            switch start {
            case .besideThisProcess: .helper
            case .thisProcess: .command
            }
        let coordinator = Coordinator(
            role: role, registry: try registry.duplicate(), request: request, generation: generation,
            members: members, interruptions: interruptions, report: report)
        let registered = try store(coordinator, start, &state)
        turn.end()
        return registered
    } catch {
        for group in groups { removeUnusedGroup(group, in: registry) }
        throw error
    }
}

/// Names the coordinator in the records before anything is written: a copy whose coordinator is not known counts as
/// one whose coordinator was killed. Then writes them.
private func store(
    _ coordinator: consuming Coordinator, _ start: CoordinatorStart, _ state: inout AppState
) throws(Failure) -> Coordinator {
    let identity: ProcessIdentity
    switch start {
    case .thisProcess:
        identity = try step("find", "this process") { () throws(Errno) in try ProcessIdentity(of: getpid()) }
        // The launcher joins its group by itself, as its last step as root.
        for index in 0..<coordinator.members.count {
            try joinGroup(coordinator.members[index].record.group, coordinator.members[index].pid)
        }
    case .besideThisProcess:
        switch try forkHelper() {
        case .helper: runAsHelper(coordinator)
        case .parent(let helper): identity = helper
        }
    }
    for index in 0..<coordinator.members.count {
        guard var record = state.known(coordinator.members[index].record) else { continue }
        record.helper = identity
        state.replace(record)
    }
    try state.store(in: coordinator.registry)
    return coordinator
}

/// For the command: signals to it, and ends of the copies that it has started.
private func watchEnds(
    of started: borrowing OwnedArray<StartedCopy>, _ start: CoordinatorStart
) throws(Failure) -> Interruptions? {
    guard case .thisProcess = start else { return nil }
    let interruptions = try step("wait for", "signals", remedy: descriptorRemedy) { () throws(Errno) in
        try Interruptions()
    }
    for index in 0..<started.count {
        let pid = started[index].process.identity.pid
        try step("watch", "pid \(pid)") { () throws(Errno) in try interruptions.watch(started[index].process) }
    }
    return interruptions
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
func visible(_ listeners: [Listener]) -> [ListenerIdentity] {
    listeners.map { listener in
        var identity = listener.identity
        if let path = listener.publicPath { identity.address = .unix(path) }
        return identity
    }
}

/// The sockets as the kernel and the registry know them.
func identify(
    _ plan: Plan, _ sockets: borrowing OwnedArray<Placement>, _ addresses: [SocketAddress]
) throws(Failure) -> [Listener] {
    var listeners: [Listener] = []
    for (index, socket) in plan.sockets.enumerated() {
        let cookie = try step("identify", "socket \(socket.name)") { () throws(Errno) in
            try socketCookie(of: sockets[index].source)
        }
        let identity = ListenerIdentity(
            name: socket.name, transport: socket.transport, address: addresses[index], isDualStack: socket.isDualStack,
            cookie: cookie)
        listeners.append(Listener(identity: identity, publicPath: socket.address.path))
    }
    return listeners
}

extension AppState {
    /// The copy that had this place before, if the kernel ended it for want of memory: its supervisor has started it
    /// again and cannot tell why.
    fileprivate func predecessor(_ generation: UInt64, _ number: Int) -> CopyRecord? {
        copies.first {
            $0.generation == generation && $0.copy == number && $0.state == .ended
                && $0.reason?.isOutOfMemory == true
        }
    }

    fileprivate func newRecord(
        of copy: borrowing StartedCopy, in generation: UInt64, _ request: AppRequest
    ) -> CopyRecord {
        var record = CopyRecord(
            generation: generation, copy: copy.number, process: copy.process.identity, helper: nil, state: .starting,
            since: secondsSince1970(), listeners: copy.listeners, supervisor: nil, stopSignal: request.stopSignal,
            stopTimeout: request.stopTimeout, nice: request.retiredNice)
        record.settle = request.settle
        // Whether the crashes of its predecessors count is decided when it ends, by how long it has run.
        record.crashes = known(record)?.crashes
        return record
    }

    /// Refuses paths that others serve, and addresses that running copies have under another name.
    fileprivate func checkAddresses(_ listeners: [Listener], _ plan: Plan) throws(Failure) {
        let ours = copies.flatMap { $0.listeners.map { $0.identity.cookie } }
        for (socket, listener) in zip(plan.sockets, listeners) {
            guard let path = listener.publicPath else { continue }
            var socket = socket
            socket.address = .unix(path)
            try refuseForeignPath(path, socket, ours: ours)
        }
        try checkNames(listeners)
    }

    /// Slots and places are found by the socket's name: under another one, the running copies would not be found, and
    /// clients would be directed to this copy before it is ready.
    private func checkNames(_ listeners: [Listener]) throws(Failure) {
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

extension AppState {
    /// What concerns the copy's Node channel; nil if it has none.
    fileprivate func channel(
        _ channel: borrowing ReadinessChannel, of copy: CopyRecord, _ request: AppRequest, _ plan: Plan
    ) throws(Failure) -> ChannelRecord? {
        guard let number = plan.channel?.far, let cookie = try channel.nodeCookie() else { return nil }
        let isSuspended =
            request.isSuspended || app.suspended == copy.generation
            || app.suspending != nil && app.suspending == request.generation
        return ChannelRecord(
            number: number, cookie: cookie, stopMessages: request.stopMessages,
            waits: isSuspended && plan.dialects.contains(.nodesockd))
    }
}

extension Reporter {
    /// What was found when the groups were steered.
    fileprivate func callAsFunction(_ found: SteeringReport) {
        if let reason = found.fallback { self(.noEBPF(reason)) }
        for one in found.foreign {
            self(.foreignServer(pid: one.holder.process.pid, name: one.holder.name, socket: one.name))
        }
    }
}
