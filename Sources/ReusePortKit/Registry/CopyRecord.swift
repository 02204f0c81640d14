/// What the registry says of a copy: one process of a generation.
struct CopyRecord: Sendable, Equatable {
    enum State: UInt8, Sendable, CaseIterable {
        case starting, ready, live, stopping, retired, ended

        var name: ByteString {
            switch self {
            case .starting: "starting"
            case .ready: "ready"
            case .live: "live"
            case .stopping: "stopping"
            case .retired: "retired"
            case .ended: "ended"
            }
        }
    }

    typealias Listener = ReusePortKit.Listener

    var generation: UInt64
    var copy: Int
    var process: ProcessIdentity
    /// The helper that waits for its readiness, while there is one.
    var helper: ProcessIdentity?
    var state: State
    /// Seconds since 1970 of its start.
    var since: UInt64
    var listeners: [Listener]
    var supervisor: Supervisor?
    var stopSignal: Int32
    var stopTimeout: Milliseconds
    var nice: Int32?
    /// What was asked for with `--settle`.
    var settle: Milliseconds?
    /// Nil: it has none.
    var channel: ChannelRecord?
    /// Why it ended; nil while it runs, or as long as nobody has looked.
    var reason: EndReason?
    /// Nil if it has not, or was not started by a supervisor whose finish script tells us.
    var crashes: Crashes?
    /// Nil: it has no limits.
    var group: CopyGroup?

    /// The name of its file.
    var fileName: ByteString { "\(generation)-\(copy)" }
}

extension CopyRecord.State: Comparable {
    static func < (one: CopyRecord.State, other: CopyRecord.State) -> Bool { one.rawValue < other.rawValue }
}

extension CopyRecord {
    var text: ByteString {
        var file = RegistryText()
        file.add("format", "1")
        file.add("generation", ByteString(decimal: generation))
        file.add("copy", ByteString(decimal: copy))
        file.add("process", ByteString(decimal: process.pid), ByteString(decimal: process.startTime))
        if let helper { file.add("helper", ByteString(decimal: helper.pid), ByteString(decimal: helper.startTime)) }
        file.add("state", state.name)
        file.add("since", ByteString(decimal: since))
        for listener in listeners {
            let identity = listener.identity
            file.add(
                "listener",
                list: [
                    identity.name, identity.transport.name, ByteString(decimal: identity.cookie),
                    identity.isDualStack ? "dual" : "", listener.publicPath ?? "",
                ] + fields(of: identity.address))
        }
        if let supervisor { file.add("supervisor", supervisor.description) }
        file.add("stop", ByteString(decimal: stopSignal), ByteString(decimal: stopTimeout.count))
        if let nice { file.add("nice", ByteString(decimal: nice)) }
        if let settle { file.add("settle", ByteString(decimal: settle.count)) }
        if let reason { file.add("reason", list: reason.fields) }
        if let crashes {
            file.add(
                "crashes", ByteString(decimal: crashes.count), ByteString(decimal: crashes.since),
                ByteString(decimal: crashes.last))
        }
        if let group { file.add("group", list: group.fields) }
        if let channel {
            file.add(
                "channel", ByteString(decimal: channel.number), ByteString(decimal: channel.cookie),
                channel.stopMessages, channel.waits ? "waits" : "")
        }
        return file.text
    }

    init?(text: ByteString) {
        guard let file = RegistryText(text), file.number("format") == 1, let generation = file.number("generation"),
            generation < 1 << 62, let copy = file.number("copy"), copy < UInt64(Bank.copies),
            let process = file.fields("process").flatMap(identity),
            let state = State.allCases.first(where: { $0.name == file.fields("state")?.first }),
            let since = file.number("since"), let stop = file.fields("stop"), stop.count == 2,
            let signal = stop[0].decimal, signal <= 64, let timeout = stop[1].decimal
        else { return nil }
        self.generation = generation
        self.copy = Int(copy)
        self.process = process
        self.state = state
        self.since = since
        helper = file.fields("helper").flatMap(identity)
        supervisor = file.fields("supervisor")?.first.flatMap { Supervisor(parsing: $0) }
        stopSignal = Int32(signal)
        stopTimeout = Milliseconds(timeout)
        if let text = file.fields("nice")?.first {
            let isNegative = text.hasPrefix("-")
            if let size = text.dropFirst(isNegative ? 1 : 0).decimal, size <= 20 {
                nice = isNegative ? -Int32(size) : Int32(size)
            }
        }
        // No longer than a day: what is damaged is not to be waited for.
        if let time = file.number("settle"), time <= 86_400_000 { settle = Milliseconds(time) }
        reason = file.fields("reason").flatMap { EndReason(fields: $0) }
        // A damaged count is none: it is no reason to lose the copy.
        if let numbers = file.fields("crashes")?.compactMap({ $0.decimal }), numbers.count == 3,
            numbers.allSatisfy({ $0 < 1 << 40 })
        {
            crashes = Crashes(count: Int(numbers[0]), since: numbers[1], last: numbers[2])
        }
        if let fields = file.fields("channel"), fields.count == 4, let number = fields[0].decimal, number < 1 << 20,
            let cookie = fields[1].decimal
        {
            channel = ChannelRecord(
                number: Int32(number), cookie: cookie, stopMessages: fields[2], waits: !fields[3].isEmpty)
        }
        group = file.fields("group").flatMap { CopyGroup(fields: $0) }
        listeners = []
        for line in file.lines where line.key == "listener" {
            guard line.fields.count >= 7, let cookie = line.fields[2].decimal,
                let transport = [Transport.tcp, .udp, .unix].first(where: { $0.name == line.fields[1] }),
                let address = address(of: Array(line.fields[5...]))
            else { return nil }
            listeners.append(
                Listener(
                    identity: ListenerIdentity(
                        name: line.fields[0], transport: transport, address: address,
                        isDualStack: line.fields[3] == "dual",
                        cookie: cookie), publicPath: line.fields[4].isEmpty ? nil : line.fields[4]))
        }
    }
}

private func identity(_ fields: [ByteString]) -> ProcessIdentity? {
    guard fields.count == 2, let pid = fields[0].decimal, pid > 0, pid <= UInt64(Int32.max),
        let start = fields[1].decimal
    else { return nil }
    return ProcessIdentity(pid: Int32(pid), startTime: start)
}

private func fields(of address: SocketAddress) -> [ByteString] {
    switch address {
    case .ipv4(let host, let port): ["4", ByteString(decimal: host), ByteString(decimal: port)]
    case .ipv6(let high, let low, let port, let scope):
        [
            "6", ByteString(decimal: high), ByteString(decimal: low), ByteString(decimal: port),
            ByteString(decimal: scope),
        ]
    case .unix(let path): ["unix", path]
    }
}

private func address(of fields: [ByteString]) -> SocketAddress? {
    switch fields[0] {
    case "4":
        guard fields.count == 3, let host = fields[1].decimal, let port = fields[2].decimal else { return nil }
        return .ipv4(UInt32(truncatingIfNeeded: host), port: UInt16(truncatingIfNeeded: port))
    case "6":
        guard fields.count == 5, let high = fields[1].decimal, let low = fields[2].decimal,
            let port = fields[3].decimal,
            let scope = fields[4].decimal
        else { return nil }
        return .ipv6(
            high: high, low: low, port: UInt16(truncatingIfNeeded: port), scope: UInt32(truncatingIfNeeded: scope))
    case "unix": return .unix(fields[1])
    default: return nil
    }
}
