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
        state.copies.filter { $0.generation == generation.order }
    }

    private func slot(_ generation: GenerationRecord, _ copy: CopyRecord) -> ByteString {
        guard case .twoBanks? = state.app.steering else { return "" }
        return "\(generation.bank.rawValue)/\(copy.copy)"
    }
}

extension AppPicture {
    var text: ByteString {
        var result: ByteString = "\(name)  steering \(state.app.steering?.name ?? "none")\n"
        for generation in state.app.generations {
            result.append("  generation \(generation.label)  \(generation.state.name) for \(ago(generation.since))")
            if !generation.reason.isEmpty { result.append(": \(generation.reason.printable)") }
            result.append("\n")
        }
        var table = Table([
            "GENERATION", "COPY", "PID", "AGE", "STATE", "SLOT", "SOCKET", "ADDRESS", "QUEUE", "CONNECTIONS", "REASON",
        ])
        for generation in state.app.generations {
            for copy in copies(generation) {
                for listener in copy.listeners {
                    let queue = queue(listener.identity)
                    table.add([
                        generation.label, ByteString(decimal: copy.copy), ByteString(decimal: copy.process.pid),
                        ago(copy.since), copy.state.name, slot(generation, copy), listener.identity.name,
                        listener.publicPath ?? listener.identity.address.description,
                        queue.map { "\($0.waiting)/\($0.limit)" } ?? "",
                        established(copy).map { ByteString(decimal: $0) } ?? "", reason(of: copy),
                    ])
                }
            }
        }
        result.append(table.text)
        return result
    }

    var json: ByteString {
        let generations = state.app.generations.map { generation in
            object([
                ("generation", ReusePortKit.json(generation.label)),
                ("state", ReusePortKit.json(generation.state.name)),
                ("since", ByteString(decimal: generation.since)), ("reason", ReusePortKit.json(generation.reason)),
                ("copies", "[\(joined(copies(generation).map { member(generation, $0) }, by: ","))]"),
            ])
        }
        return object([
            ("app", ReusePortKit.json(name)),
            ("steering", state.app.steering.map { ReusePortKit.json($0.name) } ?? "null"),
            ("generations", "[\(joined(generations, by: ","))]"),
        ])
    }

    private func reason(of copy: CopyRecord) -> ByteString {
        guard let crashes = copy.crashes, crashes.count > 1 else { return copy.reason }
        let count: ByteString = "\(crashes.count) crashes in a row"
        return copy.reason.isEmpty ? count : "\(copy.reason), \(count)"
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
            ("reason", ReusePortKit.json(copy.reason)), ("crashes", ByteString(decimal: copy.crashes?.count ?? 0)),
            ("crashing_since", copy.crashes.map { ByteString(decimal: $0.since) } ?? "null"),
            ("sockets", "[\(joined(sockets, by: ","))]"),
        ])
    }
}
