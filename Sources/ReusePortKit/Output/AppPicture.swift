import CLinux

/// An app as `state` shows it: its records, and what the kernel says of its sockets now.
final class AppPicture {
    private let name: ByteString
    private let state: AppState
    /// Nil if the kernel does not say.
    private let listening: [SocketRecord]?
    private let unixListening: [UnixSocketRecord]?
    private let connections: [SocketRecord]?
    /// The holders of the listeners of abandoned copies; nil if the kernel does not say who has them.
    private let heirs: SocketHolders?

    /// How the live generation was deployed, or the last that has served, if that is known.
    let deployment: Deployment?

    init(_ name: ByteString, _ state: AppState, _ deployment: Deployment?) {
        self.name = name
        self.state = state
        self.deployment = deployment
        var ports: [UInt16] = []
        for listener in state.copies.flatMap({ $0.listeners }) {
            if let port = listener.identity.address.port, !ports.contains(port) { ports.append(port) }
        }
        var (all, made) = ([], []) as ([SocketRecord], [SocketRecord])
        do throws(Errno) {
            for port in ports {
                all += try internetSockets(.tcp, states: .listening, localPort: port)
                made += try establishedConnections(toLocalPort: port)
            }
            (listening, connections) = (all, made)
        } catch {
            (listening, connections) = (nil, nil)
        }
        unixListening = try? listeningUnixSockets()
        let left = try? openListeners(of: state.copies.filter { $0.state == .abandoned })
        heirs = left.flatMap { try? holders(ofSocketInodes: $0.map { $0.inode }) }
    }

    /// The processes that have the listeners of an abandoned copy, as far as they can be seen.
    private func heirs(of copy: CopyRecord) -> [NamedProcess] {
        guard copy.state == .abandoned, let left = try? openListeners(of: [copy]) else { return [] }
        var result: [NamedProcess] = []
        for one in heirs?.found ?? [] where left.contains(where: { $0.inode == one.inode }) {
            let process = NamedProcess(pid: one.process.pid, name: one.name)
            if !result.contains(process) { result.append(process) }
        }
        return result
    }

    private func queue(_ identity: ListenerIdentity) -> (waiting: UInt32, limit: UInt32)? {
        if identity.transport == .unix {
            return unixListening?.first { $0.cookie == identity.cookie }.map { ($0.acceptQueue, $0.acceptLimit) }
        }
        return listening?.first { $0.cookie == identity.cookie }.map { ($0.acceptQueue, $0.acceptLimit) }
    }

    /// Whether the kernel says which such sockets listen.
    private func isKnown(_ identity: ListenerIdentity) -> Bool {
        identity.transport == .unix ? unixListening != nil : listening != nil
    }

    /// How many connections the copy holds; nil if its descriptors may not be seen.
    private func established(_ copy: CopyRecord) -> Int? {
        guard copy.state != .ended else { return 0 }
        guard let connections else { return nil }
        return try? count(connections, heldBy: copy.process)
    }
}

// MARK: - For people

extension AppPicture {
    /// Says what serves and how it was deployed, then lists the generations, the youngest last, with a line for each
    /// copy.
    func text(on screen: Screen, described lines: [(ByteString, ByteString)]) -> ByteString {
        var sheet = Sheet()
        sheet.add([Cell(name, .heading), summary, Cell("steering \(state.app.steering?.name ?? "none")")])
        for (name, value) in lines { sheet.add([Cell(name), Cell(value)], indent: 2, group: 3) }
        for generation in state.app.generations { add(generation, to: &sheet) }
        return sheet.text(on: screen)
    }

    /// Whether the app serves: what an operator wants to know first.
    private var summary: Cell {
        guard let live = state.app.live else { return Cell("nothing serves", .bad) }
        if state.app.suspended == live.id { return Cell("suspended: connections wait until resume", .waiting) }
        let count = state.present(live)
        let ink: Ink = count == nil ? .waiting : count == live.copies ? .good : .bad
        return Cell("\(shown(count))/\(live.copies) \(live.copies == 1 ? "copy serves" : "copies serve")", ink)
    }

    private func add(_ generation: GenerationRecord, to sheet: inout Sheet) {
        let copies = state.copies(of: generation.id)
        let shared = sharedSocket(copies)
        let slots = state.slotDescriptions(of: generation)
        let running = state.present(generation)
        var heading = [
            Cell("generation \(generation.label)", .heading),
            state.app.shown(generation, " \(ago(generation.since))"),
        ]
        if running != 0 || generation.state == .live {
            let text: ByteString =
                "\(shown(running))/\(generation.copies) \(generation.copies == 1 ? "copy" : "copies")"
            heading.append(Cell(text, generation.ink(ofRunning: running)))
        }
        if let shared, copies.contains(where: { $0.state < .retired }) {
            heading.append(Cell("\(shared.identity.name) \(ReusePortKit.shown(shared))"))
        }
        sheet.add(heading, tail: generation.outcome.description, indent: 2)
        for (copy, slot) in zip(copies, slots) where isWorthALine(copy, of: generation) {
            var cells = [
                Cell("copy \(copy.copy)"), Cell("pid \(copy.process.pid)"),
                Cell(copy.state.name, copy.ink(in: generation)),
            ]
            if copy.state != .ended { cells += runningCells(copy, slot, shared) }
            sheet.add(cells, tail: reason(of: copy), indent: 4, group: 1)
            if shared == nil && copy.state != .ended { addSockets(copy, to: &sheet) }
        }
    }

    /// The socket of all copies, if each has one and all are at the same address.
    private func sharedSocket(_ copies: [CopyRecord]) -> Listener? {
        let first = copies.first?.listeners.first
        let isShared = copies.allSatisfy { copy in
            copy.listeners.count == 1 && copy.listeners[0].identity.name == first?.identity.name
                && ReusePortKit.shown(copy.listeners[0]) == first.map { ReusePortKit.shown($0) }
        }
        return isShared ? first : nil
    }

    private func reason(of copy: CopyRecord) -> ByteString {
        var reason = copy.reason?.description ?? (copy.state == .live && copy.startedAs != nil ? copy.succession : "")
        if copy.state == .abandoned {
            let names = joined(heirs(of: copy).map { $0.description }, by: ", ")
            // Nobody may be seen because nobody has a descriptor, as with io_uring.
            let state: ByteString = heirs == nil ? "; its listener may still be open" : "; its listener is still open"
            reason.append(names.isEmpty ? state : "; \(names) has its listener")
            if names.isEmpty, let heirs, !heirs.hidden.isEmpty {
                reason.append(", in a process that this user may not see")
            }
        }
        guard let crashes = copy.crashes, crashes.count > 1 else { return reason }
        let count: ByteString = "\(crashes.count) crashes in a row"
        return reason.isEmpty ? count : "\(reason), \(count)"
    }

    /// Whether a copy's line tells more than its generation's. That of a copy which ended as planned does not.
    private func isWorthALine(_ copy: CopyRecord, of generation: GenerationRecord) -> Bool {
        if copy.state != .ended { return true }
        if generation.state == .live, copy.copy < generation.copies { return true }
        guard let reason = copy.reason else { return false }
        guard generation.state == .failed else { return reason.isCrash }
        if reason == .unknown { return false }
        // The generation's line gives this reason already.
        if case .failed(_, reason) = generation.outcome { return false }
        return true
    }

    private func runningCells(_ copy: CopyRecord, _ slot: ByteString?, _ shared: Listener?) -> [Cell] {
        var cells = [
            Cell("up \(ago(copy.since))"), Cell(slot ?? ""),
            shared == nil ? Cell("") : queue(copy.listeners[0], of: copy),
        ]
        if let count = established(copy), copy.listeners.contains(where: { $0.identity.transport == .tcp }) {
            cells.append(Cell("\(count) \(count == 1 ? "connection" : "connections")"))
        }
        return cells
    }

    private func addSockets(_ copy: CopyRecord, to sheet: inout Sheet) {
        for listener in copy.listeners {
            let queue = queue(listener, of: copy)
            if queue.text.isEmpty && listener.identity.transport != .udp { continue }
            sheet.add([Cell(listener.identity.name), queue], tail: ReusePortKit.shown(listener), indent: 6, group: 2)
        }
    }

    /// How many connections wait to be accepted; empty where no listener is expected.
    private func queue(_ listener: Listener, of copy: CopyRecord) -> Cell {
        guard let (waiting, limit) = queue(listener.identity) else {
            let isMissed = copy.state == .live && listener.identity.transport != .udp
            if !isMissed { return Cell("") }
            return isKnown(listener.identity) ? Cell("not listening", .bad) : Cell("queue unknown", .waiting)
        }
        let ink: Ink = waiting == 0 ? .plain : waiting < limit ? .waiting : .bad
        return Cell("queue \(waiting)/\(limit)", ink)
    }
}

extension CopyRecord {
    /// Which process serves in the place of which.
    var succession: ByteString {
        "pid \(startedAs ?? 0), as which it was started, has ended, and \(NamedProcess(process).description) accepts"
    }

    fileprivate func ink(in generation: GenerationRecord) -> Ink {
        switch state {
        case .starting, .ready, .stopping: .waiting
        case .live: .good
        case .abandoned: .bad
        case .retired: .plain
        case .ended: generation.state == .live ? .bad : .past
        }
    }
}

// MARK: - For programs

extension AppPicture {
    func asJSON() -> ByteString {
        let generations = state.app.generations.map { generation in
            var object = JSONObject()
            object.add("generation", generation.label)
            object.add("state", generation.state.name)
            object.add("suspended", state.app.suspended == generation.id)
            object.add("since", generation.since)
            object.add("reason", generation.outcome.description)
            object.add("copies", value: array(of: state.copies(of: generation.id).map { asJSON($0, of: generation) }))
            return object.text
        }
        var object = JSONObject()
        object.add("app", name)
        object.add("steering", state.app.steering?.name)
        object.add("command", value: deployment.map { array($0.command) } ?? "null")
        object.add("directory", deployment?.directory)
        object.add("user", shownUser(state.app.live.map { state.running($0.id) } ?? []))
        object.add("generations", value: array(of: generations))
        return object.text
    }

    private func asJSON(_ copy: CopyRecord, of generation: GenerationRecord) -> ByteString {
        let sockets = copy.listeners.map { listener in
            let queue = queue(listener.identity)
            var object = JSONObject()
            object.add("name", listener.identity.name)
            object.add("transport", listener.identity.transport.name)
            object.add("address", listener.publicPath ?? listener.identity.address.description)
            if isKnown(listener.identity) {
                object.add("listening", queue != nil)
            } else {
                object.add("listening", value: "null")
            }
            object.add("accept_queue", queue?.waiting)
            object.add("accept_limit", queue?.limit)
            return object.text
        }
        var object = JSONObject()
        object.add("copy", copy.copy)
        object.add("pid", copy.process.pid)
        object.add("since", copy.since)
        object.add("state", copy.state.name)
        object.add("bank", generation.bank.rawValue)
        object.add("slot", copy.copy)
        object.add("connections", established(copy))
        object.add("reason", copy.reason?.description ?? "")
        object.add("crashes", copy.crashes?.count ?? 0)
        object.add("channel", copy.channel != nil)
        object.add("crashing_since", copy.crashes?.since)
        object.add("sockets", value: array(of: sockets))
        object.add("holders", value: array(of: heirs(of: copy).map(asJSON)))
        return object.text
    }

    private func asJSON(_ process: NamedProcess) -> ByteString {
        var object = JSONObject()
        object.add("pid", process.pid)
        object.add("name", process.name)
        return object.text
    }
}
