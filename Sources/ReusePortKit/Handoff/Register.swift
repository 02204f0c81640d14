import CLinux

/// Starts copies, registers them in their generation, and lets them listen, all in one turn under the app's lock.
///
/// Until now the sockets are only bound, so no connection can have come to them. From listen(2) on they are members of
/// their reuseport groups; a program that is attached there already keeps connections from them.
///
/// A helper that is to coordinate them starts here, and does not return.
func register(
    _ prepared: consuming OwnedArray<PreparedCopy>, _ plan: Plan, _ request: AppRequest,
    in registry: Registry, by role: Coordinator.Role, _ report: Reporter
) throws(Failure) -> Coordinator {
    var prepared = prepared
    let numbers = (0..<prepared.count).map { prepared[$0].number }
    request.namesProcess = plan.dialects.contains(.systemd)
    request.adopts = plan.library != nil
    // A copy that is started again takes the place of what is left of its predecessor.
    for known in (registry.loadApp() ?? AppState.reconciled(registry).app).generations
    where known.label == request.generation && registry.hasRecord(of: known.id, numbers) {
        try endAbandoned(numbers, of: known.id, in: registry, report)
    }
    let turn = try awaitTurn(registry, request, prepared, report)
    guard let generation = turn.state.app.generation(turn.generation) else {
        throw Failure("find", "generation", .noEntry)
    }
    report(.registered(label: generation.label, copies: numbers))
    var registration = Registration(
        plan: plan, request: request, role: role, generation: generation, report: report, state: turn.state)
    do throws(Failure) {
        let interruptions = try watchSignals(role)
        var members = OwnedArray<Member>()
        while prepared.count > 0 {
            let member = try registration.add(prepared.remove(at: 0), isFirst: members.count == 0, registry)
            try watchEnd(of: member.copy.process, interruptions)
            members.append(member)
        }
        let coordinator = Coordinator(
            role, registry, request, generation,
            firstStart: registration.state.app.starts + 1 - UInt64(members.count), members, interruptions, report)
        let registered = try store(coordinator, registration.state)
        turn.end()
        return registered
    } catch {
        for child in registration.children { endAtBarrier(child) }
        for group in registration.groups { removeUnusedGroup(group, in: registry) }
        throw error
    }
}

/// The state of an app while copies are added to it, one after the other.
private struct Registration {
    let plan: Plan
    let request: AppRequest
    let role: Coordinator.Role
    let generation: GenerationRecord
    let report: Reporter
    var state: AppState
    /// The control groups that were made, to be removed if registration fails.
    var groups: [CopyGroup] = []
    /// The processes that were forked, which end if registration fails.
    var children: [Int32] = []

    /// Starts a copy, lets it listen, and records it. The first one steers the groups, which the others then join.
    mutating func add(
        _ prepared: consuming PreparedCopy, isFirst: Bool, _ registry: Registry
    ) throws(Failure) -> Member {
        if let old = state.predecessor(generation.id, prepared.number) {
            report(.predecessor(copy: prepared.number, pid: old.process.pid, old.reason ?? .unknown))
        }
        state.app.starts += 1
        // Asked only where it matters: it reads /proc. A command's copies are not in the unit of the command.
        let supervisor = role == .helper || !request.memoryLimits.isEmpty ? Supervisor.current() : nil
        let group = try state.makeGroup(
            request.memoryLimits, for: prepared.number, of: generation.label, under: supervisor, in: registry)
        if let group { groups.append(group) }
        let copy = try prepared.start(in: group, asStart: state.app.starts)
        if role == .command { children.append(copy.process.identity.pid) }
        let record = state.newRecord(of: copy, in: generation.id, request)
        record.group = group
        record.user = plan.identity.user ?? geteuid()
        if isFirst { try state.prepareToListen(copy.listeners) }
        try state.checkAddresses(copy.listeners, plan)
        for (index, socket) in plan.sockets.enumerated() { try listenIfWanted(copy.sockets[index].source, socket) }
        if isFirst {
            let found = try state.attach(
                request.name, request.steering, for: generation.id, copy.listeners, held: copy.sockets)
            report(found)
        } else {
            try state.noteJoined(copy.listeners)
        }
        // The supervisor of a command does not supervise the copies that the command leaves behind.
        if role == .helper { record.supervisor = supervisor }
        record.channel = try state.channel(copy.channel, of: record, request, plan)
        state.keepAbandoned(record)
        state.replace(record)
        return Member(copy: copy, record: record)
    }
}

/// Names the coordinator in the records, then writes them: a copy whose coordinator is not known counts as one whose
/// coordinator was killed.
private func store(
    _ coordinator: Coordinator, _ state: AppState
) throws(Failure) -> Coordinator {
    let identity: ProcessIdentity
    switch coordinator.role {
    case .command:
        identity = try step("find", "this process") { () throws(Errno) in try ProcessIdentity(of: getpid()) }
    case .helper:
        switch try forkHelper() {
        case .helper: runAsHelper(coordinator)
        case .parent(let helper): identity = helper
        }
    }
    for index in 0..<coordinator.members.count {
        guard let record = state.known(coordinator.members[index].record) else { continue }
        record.helper = identity
        state.replace(record)
    }
    try state.store(in: coordinator.registry)
    return coordinator
}

/// Begins to watch, for a command, signals to it.
private func watchSignals(_ role: Coordinator.Role) throws(Failure) -> Interruptions? {
    guard role == .command else { return nil }
    return try step("wait for", "signals", remedy: descriptorRemedy) { () throws(Errno) in try Interruptions() }
}

/// Watches, for a command, the end of a copy that it has started.
private func watchEnd(
    of process: borrowing ProcessHandle, _ interruptions: borrowing Interruptions?
) throws(Failure) {
    switch interruptions {
    case .some(let interruptions):
        try step("watch", "pid \(process.identity.pid)") { () throws(Errno) in try interruptions.watch(process) }
    case .none: break
    }
}

func runDirectory(of request: AppRequest) throws(Failure) -> ByteString {
    if let given = request.runDirectory { return given }
    return try defaultRunDirectory()
}

/// Opens the app's folder, and makes it if need be.
func openRegistry(of request: AppRequest) throws(Failure) -> Registry {
    let directory = try runDirectory(of: request)
    guard let registry = try Registry.open(request.name, in: directory, create: true) else {
        throw Failure("open", directory, .noEntry)
    }
    return registry
}

func watchProcess(_ pid: Int32) throws(Failure) -> ProcessHandle {
    try step("watch", "pid \(pid)", remedy: { descriptorRemedy($0) ?? "--app needs /proc, and Linux 5.3" }) {
        () throws(Errno) in
        try ProcessHandle(to: pid)
    }
}

/// The listeners as clients see them, by the public paths of Unix sockets.
func visible(_ listeners: [Listener]) -> [ListenerIdentity] {
    listeners.map { listener in
        var identity = listener.identity
        if let path = listener.publicPath { identity.address = .unix(path) }
        return identity
    }
}

/// Finds the cookies of sockets, by which the kernel and the registry know them.
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
            cookie: cookie, offered: plan.library == nil ? 0 : socket.descriptor)
        listeners.append(Listener(identity: identity, publicPath: socket.address.path))
    }
    return listeners
}

extension AppState {
    /// Finds the copy that had this place before, if the kernel ended it because memory ran out. The supervisor that has
    /// started this one instead does not know why.
    fileprivate func predecessor(_ generation: UInt64, _ number: Int) -> CopyRecord? {
        copies.first {
            $0.generation == generation && $0.copy == number && $0.state == .ended
                && $0.reason?.isOutOfMemory == true
        }
    }

    /// Keeps what is left of the predecessor of a copy, and could not be ended, under a number that no copy has.
    fileprivate func keepAbandoned(_ record: CopyRecord) {
        guard let left = known(record), left.state == .abandoned, let generation = app.generation(left.generation)
        else {
            return
        }
        let taken = copies(of: left.generation).map { $0.copy }
        guard let free = (generation.copies..<Bank.copies).first(where: { !taken.contains($0) }) else { return }
        left.copy = free
        replace(left)
    }

    fileprivate func newRecord(
        of copy: borrowing StartedCopy, in generation: UInt64, _ request: AppRequest
    ) -> CopyRecord {
        let record = CopyRecord(
            generation: generation, copy: copy.number, process: copy.process.identity, helper: nil, state: .starting,
            since: secondsSince1970(), listeners: copy.listeners, supervisor: nil, stopSignal: request.stopSignal,
            stopTimeout: request.stopTimeout, nice: request.retiredNice)
        (record.settle, record.drain) = (request.settle, request.drain)
        // How long this copy runs decides, when it ends, whether the crashes before it count.
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
    /// Records the copy's Node channel; nil if it has none.
    fileprivate func channel(
        _ channel: borrowing ReadinessChannel, of copy: CopyRecord, _ request: AppRequest, _ plan: Plan
    ) throws(Failure) -> ChannelRecord? {
        guard let number = plan.channel?.far, let cookie = try channel.nodeCookie() else { return nil }
        let isSuspended =
            request.isSuspended || app.suspended == copy.generation
            || app.suspending != nil && app.suspending == request.generation
        let message: ByteString =
            switch plan.dialects.nodesockd {
            case .nodesockd? where isSuspended: "\"resume\""
            case .nodesockd2? where isSuspended: "{\"type\":\"resume\"}"
            default: ""
            }
        return ChannelRecord(
            number: number, cookie: cookie, stopMessages: request.stopMessages, resumeMessage: message)
    }
}

extension Reporter {
    /// Reports what was found when the groups were steered.
    fileprivate func callAsFunction(_ found: SteeringReport) {
        if let reason = found.fallback { self(.noEBPF(reason)) }
        for one in found.foreign {
            self(.foreignServer(pid: one.holder.process.pid, name: one.holder.name, socket: one.name))
        }
        for one in found.outsiders {
            self(.outsider(pid: one.holder.process.pid, name: one.holder.name, socket: one.name))
        }
    }
}
