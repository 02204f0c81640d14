import CLinux

/// Everything that is known of an app: the registry's part, and what the kernel says of its sockets now.
struct AppPicture {
    private let name: ByteString
    private let state: AppState
    private let listening: [SocketRecord]
    private let unixListening: [UnixSocketRecord]
    private let connections: [SocketRecord]

    init(_ name: ByteString, _ state: AppState) {
        self.name = name
        self.state = state
        var ports: [UInt16] = []
        for listener in state.copies.flatMap({ $0.listeners }) {
            if let port = listener.identity.address.port, !ports.contains(port) { ports.append(port) }
        }
        listening = ports.flatMap { (try? internetSockets(.tcp, states: .listening, localPort: $0)) ?? [] }
        connections = ports.flatMap { (try? establishedConnections(toLocalPort: $0)) ?? [] }
        unixListening = (try? listeningUnixSockets()) ?? []
    }

    private func queue(_ identity: ListenerIdentity) -> (waiting: UInt32, limit: UInt32)? {
        if identity.transport == .unix {
            return unixListening.first { $0.cookie == identity.cookie }.map { ($0.acceptQueue, $0.acceptLimit) }
        }
        return listening.first { $0.cookie == identity.cookie }.map { ($0.acceptQueue, $0.acceptLimit) }
    }

    /// Connections that the copy holds; nil if its descriptors may not be seen.
    private func established(_ copy: CopyRecord) -> Int? {
        guard copy.state != .ended else { return 0 }
        return try? count(connections, heldBy: copy.process)
    }

    private func copies(_ generation: GenerationRecord) -> [CopyRecord] {
        state.copies.filter { $0.generation == generation.id }
    }
}

// MARK: - For people

extension AppPicture {
    /// What serves, then generation by generation, the youngest last, with a line for each copy.
    func text(on screen: Screen) -> ByteString {
        var sheet = Sheet()
        sheet.add([Cell(name, .heading), summary, Cell("steering \(state.app.steering?.name ?? "none")")])
        for generation in state.app.generations { add(generation, to: &sheet) }
        return sheet.text(on: screen)
    }

    /// What somebody who was woken up wants to know first.
    private var summary: Cell {
        guard let live = state.app.live else { return Cell("nothing serves", .bad) }
        let count = state.running(live.id).count { $0.state == .live }
        if state.app.suspended == live.id { return Cell("suspended: connections wait until resume", .waiting) }
        let ink: Ink = count == live.copies ? .good : .bad
        return Cell("\(count)/\(live.copies) \(live.copies == 1 ? "copy serves" : "copies serve")", ink)
    }

    private func add(_ generation: GenerationRecord, to sheet: inout Sheet) {
        let copies = copies(generation)
        let shared = sharedSocket(copies)
        let running = copies.count { $0.state != .ended }
        var heading = [
            Cell("generation \(generation.label)", .heading),
            state.app.shown(generation, " \(ago(generation.since))"),
        ]
        if running > 0 {
            let text: ByteString = "\(running)/\(generation.copies) \(generation.copies == 1 ? "copy" : "copies")"
            heading.append(Cell(text, generation.ink(ofRunning: running)))
        }
        if let shared, copies.contains(where: { $0.state < .retired }) {
            heading.append(Cell("\(shared.identity.name) \(address(shared))"))
        }
        sheet.add(heading, tail: generation.outcome.description, indent: 2)
        for copy in copies where isWorthALine(copy, of: generation) {
            sheet.add(cells(copy, of: generation, shared), tail: reason(of: copy), indent: 4, group: 1)
            if shared == nil && copy.state != .ended { addSockets(copy, to: &sheet) }
        }
    }

    /// The socket of all copies, if they have one each, and at the same address.
    private func sharedSocket(_ copies: [CopyRecord]) -> CopyRecord.Listener? {
        let first = copies.first?.listeners.first
        let isShared = copies.allSatisfy { copy in
            copy.listeners.count == 1 && copy.listeners[0].identity.name == first?.identity.name
                && address(copy.listeners[0]) == first.map { address($0) }
        }
        return isShared ? first : nil
    }

    private func address(_ listener: CopyRecord.Listener) -> ByteString {
        listener.publicPath ?? listener.identity.address.description
    }

    private func reason(of copy: CopyRecord) -> ByteString {
        let reason = copy.reason?.description ?? ""
        guard let crashes = copy.crashes, crashes.count > 1 else { return reason }
        let count: ByteString = "\(crashes.count) crashes in a row"
        return reason.isEmpty ? count : "\(reason), \(count)"
    }

    /// Whether a copy's line tells more than its generation's: what has ended as it was to end does not.
    private func isWorthALine(_ copy: CopyRecord, of generation: GenerationRecord) -> Bool {
        if copy.state != .ended || generation.state == .live { return true }
        guard generation.state == .failed, let reason = copy.reason, reason != .unknown else { return false }
        // The generation's line says it already.
        if case .failed(_, reason) = generation.outcome { return false }
        return true
    }

    private func cells(
        _ copy: CopyRecord, of generation: GenerationRecord, _ shared: CopyRecord.Listener?
    ) -> [Cell] {
        var cells = [
            Cell("copy \(copy.copy)"), Cell("pid \(copy.process.pid)"),
            Cell(copy.state.name, copy.ink(in: generation)),
        ]
        if copy.state == .ended { return cells }
        let slot = state.slotDescription(of: copy) ?? ""
        cells += [Cell("up \(ago(copy.since))"), Cell(slot)]
        cells.append(shared == nil ? Cell("") : queue(copy.listeners[0], of: copy))
        if let count = established(copy), copy.listeners.contains(where: { $0.identity.transport == .tcp }) {
            cells.append(Cell("\(count) \(count == 1 ? "connection" : "connections")"))
        }
        return cells
    }

    private func addSockets(_ copy: CopyRecord, to sheet: inout Sheet) {
        for listener in copy.listeners {
            let queue = queue(listener, of: copy)
            if queue.text.isEmpty && listener.identity.transport != .udp { continue }
            sheet.add([Cell(listener.identity.name), queue], tail: address(listener), indent: 6, group: 2)
        }
    }

    /// How many connections wait to be accepted; empty for a listener that is closed as it is to be.
    private func queue(_ listener: CopyRecord.Listener, of copy: CopyRecord) -> Cell {
        guard let (waiting, limit) = queue(listener.identity) else {
            let isMissed = copy.state == .live && listener.identity.transport != .udp
            return isMissed ? Cell("not listening", .bad) : Cell("")
        }
        let ink: Ink = waiting == 0 ? .plain : waiting < limit ? .waiting : .bad
        return Cell("queue \(waiting)/\(limit)", ink)
    }
}

extension CopyRecord {
    fileprivate func ink(in generation: GenerationRecord) -> Ink {
        switch state {
        case .starting, .ready, .stopping: .waiting
        case .live: .good
        case .retired: .plain
        case .ended: generation.state == .live ? .bad : .past
        }
    }
}

// MARK: - For programs

extension AppPicture {
    var json: ByteString {
        let generations = state.app.generations.map { generation in
            object([
                ("generation", ReusePortKit.json(generation.label)),
                ("state", ReusePortKit.json(generation.state.name)),
                ("suspended", state.app.suspended == generation.id ? "true" : "false"),
                ("since", ByteString(decimal: generation.since)),
                ("reason", ReusePortKit.json(generation.outcome.description)),
                ("copies", "[\(joined(copies(generation).map { member(generation, $0) }, by: ","))]"),
            ])
        }
        return object([
            ("app", ReusePortKit.json(name)),
            ("steering", state.app.steering.map { ReusePortKit.json($0.name) } ?? "null"),
            ("generations", "[\(joined(generations, by: ","))]"),
        ])
    }

    private func member(_ generation: GenerationRecord, _ copy: CopyRecord) -> ByteString {
        let sockets = copy.listeners.map { listener in
            let queue = queue(listener.identity)
            return object([
                ("name", ReusePortKit.json(listener.identity.name)),
                ("transport", ReusePortKit.json(listener.identity.transport.name)),
                ("address", ReusePortKit.json(listener.publicPath ?? listener.identity.address.description)),
                ("listening", queue == nil ? "false" : "true"),
                ("accept_queue", queue.map { ByteString(decimal: $0.waiting) } ?? "null"),
                ("accept_limit", queue.map { ByteString(decimal: $0.limit) } ?? "null"),
            ])
        }
        return object([
            ("copy", ByteString(decimal: copy.copy)), ("pid", ByteString(decimal: copy.process.pid)),
            ("since", ByteString(decimal: copy.since)), ("state", ReusePortKit.json(copy.state.name)),
            ("bank", ByteString(decimal: generation.bank.rawValue)), ("slot", ByteString(decimal: copy.copy)),
            ("connections", established(copy).map { ByteString(decimal: $0) } ?? "null"),
            ("reason", ReusePortKit.json(copy.reason?.description ?? "")),
            ("crashes", ByteString(decimal: copy.crashes?.count ?? 0)),
            ("channel", copy.channel == nil ? "false" : "true"),
            ("crashing_since", copy.crashes.map { ByteString(decimal: $0.since) } ?? "null"),
            ("sockets", "[\(joined(sockets, by: ","))]"),
        ])
    }
}
