/// The registry's record of a copy, one process of a generation; each has a file of its own.
///
/// A class, because lists of copies are passed through the whole handoff: as a struct of 17 fields it takes 13 kB more.
/// A record that others may have is not changed, but `copied`.
final class CopyRecord {
    /// How far the copy has come; compared in this order.
    enum State: Sendable, CaseIterable, Comparable {
        case starting
        /// Can serve, and waits for the other copies of its generation.
        case ready
        /// Gets connections, or did until its generation was replaced.
        case live
        /// Is told to stop, or could not be stopped.
        case stopping
        /// Its process has gone, but others have its listeners: processes that it has started, or a successor.
        case abandoned
        /// Its listeners are closed, and it finishes what it has accepted.
        case retired
        /// Its process and its listeners have gone.
        case ended

        var name: ByteString {
            switch self {
            case .starting: "starting"
            case .ready: "ready"
            case .live: "live"
            case .stopping: "stopping"
            case .abandoned: "abandoned"
            case .retired: "retired"
            case .ended: "ended"
            }
        }
    }

    /// The id of its generation.
    var generation: UInt64
    /// Its number in the generation, from 0.
    var copy: Int
    var process: ProcessIdentity
    /// The process that coordinates its handoff, a helper or a command, until that is over.
    var helper: ProcessIdentity?
    var state: State
    /// When it was registered, in seconds since 1970.
    var since: UInt64
    var listeners: [Listener]
    var supervisor: Supervisor?
    /// The user as whom it was started; nil: an earlier version has recorded it.
    var user: UInt32?
    var stopSignal: Int32
    var stopTimeout: Milliseconds
    /// The nice value that it gets when it is told to stop; nil: it keeps its own.
    var nice: Int32?
    /// The value of `--settle`.
    var settle: Milliseconds?
    /// The value of `--drain`.
    var drain = Milliseconds(0)
    /// Its Node channel, if it has one.
    var channel: ChannelRecord?
    /// Why it ended; nil while it runs, or until an invocation sees that it has ended.
    var reason: EndReason?
    /// Nil if it has not crashed, or no finish script of its supervisor has recorded it.
    var crashes: Crashes?
    /// Its control group, which all that it starts is in; nil if it has none of its own.
    var group: CopyGroup?
    /// The process that it was started as, which has ended: `process` has its listeners now, and accepts. Nil: it has not.
    var startedAs: Int32?
    /// What its file says, so that only changes are written; nil if it has none yet.
    var written: (text: ByteString, state: State)?

    init(
        generation: UInt64, copy: Int, process: ProcessIdentity, helper: ProcessIdentity? = nil, state: State,
        since: UInt64, listeners: [Listener], supervisor: Supervisor? = nil, stopSignal: Int32,
        stopTimeout: Milliseconds, nice: Int32? = nil
    ) {
        self.generation = generation
        self.copy = copy
        self.process = process
        self.helper = helper
        self.state = state
        self.since = since
        self.listeners = listeners
        self.supervisor = supervisor
        self.stopSignal = stopSignal
        self.stopTimeout = stopTimeout
        self.nice = nice
    }

    /// A record of its own with the same contents.
    var copied: CopyRecord {
        let other = CopyRecord(
            generation: generation, copy: copy, process: process, helper: helper, state: state, since: since,
            listeners: listeners, supervisor: supervisor, stopSignal: stopSignal, stopTimeout: stopTimeout, nice: nice)
        (other.user, other.settle, other.drain, other.channel) = (user, settle, drain, channel)
        (other.reason, other.crashes, other.group, other.written) = (reason, crashes, group, written)
        other.startedAs = startedAs
        return other
    }

    /// Whether its state is not in its file yet.
    var isNew: Bool { written?.state != state }

    /// Whether its process has gone.
    var hasGone: Bool { state == .abandoned || state == .ended }

    /// The name of its file.
    var fileName: ByteString { "\(generation)-\(copy)" }
}

extension CopyRecord {
    /// The file's contents.
    var text: ByteString {
        var file = RegistryText()
        file.add("format", "1")
        file.add("boot", currentBoot)
        file.add("generation", generation)
        file.add("copy", copy)
        file.add("process", list: process.fields)
        file.add("helper", list: helper?.fields)
        file.add("state", state.name)
        file.add("since", since)
        for listener in listeners { file.add("listener", list: listener.fields) }
        file.add("supervisor", supervisor?.description)
        file.add("stop", list: [ByteString(decimal: stopSignal), ByteString(decimal: stopTimeout.count)])
        file.add("user", user)
        file.add("started-as", startedAs)
        file.add("nice", nice)
        file.add("settle", settle?.count)
        if drain.count > 0 { file.add("drain", drain.count) }
        if let reason {
            // The sentence is for people, and for earlier versions.
            file.add("reason", reason.description)
            file.add("cause", list: reason.fields)
        }
        file.add("crashes", list: crashes?.fields)
        file.add("group", list: group?.fields)
        if listeners.first?.identity.offered ?? 0 > 0 {
            file.add("adopt", list: listeners.map { ByteString(decimal: $0.identity.offered) })
        }
        file.add("channel", list: channel?.fields)
        return file.text
    }

    /// Reads the file; nil if a field is damaged that is needed to find or stop the copy. Other damaged fields are left
    /// out: they are no reason to lose the copy.
    convenience init?(text: ByteString) {
        guard let file = RegistryText(text), file.number("format") == 1, let generation = file.number("generation"),
            generation < 1 << 62, let copy = file.number("copy"), copy < UInt64(Bank.copies),
            let process = file.fields("process").flatMap({ ProcessIdentity(fields: $0) }),
            let state = State.allCases.first(where: { $0.name == file.fields("state")?.first }),
            let since = file.number("since"), let stop = file.fields("stop"), stop.count == 2,
            let signal = stop[0].decimal, signal <= 64, let timeout = stop[1].decimal,
            timeout <= Milliseconds.longest.count
        else { return nil }
        self.init(
            generation: generation, copy: Int(copy), process: process, state: state, since: since, listeners: [],
            stopSignal: Int32(signal), stopTimeout: Milliseconds(timeout))
        helper = file.fields("helper").flatMap { ProcessIdentity(fields: $0) }
        supervisor = file.fields("supervisor")?.first.flatMap { Supervisor(parsing: $0) }
        user = file.number("user").flatMap { UInt32(exactly: $0) }
        startedAs = file.number("started-as").flatMap { Int32(exactly: $0) }
        nice = file.fields("nice")?.first.flatMap { parseNice($0) }
        // A time longer than a day is damage, and would be waited for.
        if let time = file.number("settle"), time <= 86_400_000 { settle = Milliseconds(time) }
        if let time = file.number("drain"), time <= 86_400_000 { drain = Milliseconds(time) }
        reason =
            file.fields("cause").flatMap { EndReason(fields: $0) }
            ?? file.fields("reason")?.first.flatMap { $0.isEmpty ? nil : EndReason(sentence: $0) }
        crashes = file.fields("crashes").flatMap { Crashes(fields: $0) }
        channel = file.fields("channel").flatMap { ChannelRecord(fields: $0) }
        group = file.fields("group").flatMap { CopyGroup(fields: $0) }
        let offered = file.fields("adopt") ?? []
        for fields in file.all("listener") {
            guard var listener = Listener(fields: fields) else { return nil }
            if listeners.count < offered.count, let number = try? parseDescriptor(offered[listeners.count]) {
                listener.identity.offered = number
            }
            listeners.append(listener)
        }
        if !file.isOfThisBoot { forgetBoot() }
    }

    /// Pids, start times and cookies are used again after a boot: the copy has ended, and nothing that is there now is
    /// its.
    private func forgetBoot() {
        process = ProcessIdentity(pid: process.pid, startTime: .max)
        helper = nil
        (supervisor, channel, group) = (nil, nil, nil)
        for index in listeners.indices { listeners[index].identity.cookie = 0 }
        if state != .ended { (state, reason) = (.ended, EndReason(.handoff, "the system was started again")) }
    }
}

// MARK: - Parts of the record, as fields of a line

private func parseNice(_ text: ByteString) -> Int32? {
    let isNegative = text.hasPrefix("-")
    guard let size = text.dropFirst(isNegative ? 1 : 0).decimal, size <= 20 else { return nil }
    return isNegative ? -Int32(size) : Int32(size)
}

extension ProcessIdentity {
    fileprivate var fields: [ByteString] { [ByteString(decimal: pid), ByteString(decimal: startTime)] }

    fileprivate init?(fields: [ByteString]) {
        guard fields.count == 2, let pid = fields[0].decimal, pid > 0, pid <= UInt64(Int32.max),
            let start = fields[1].decimal
        else { return nil }
        self.init(pid: Int32(pid), startTime: start)
    }
}

extension Crashes {
    fileprivate var fields: [ByteString] {
        [ByteString(decimal: count), ByteString(decimal: since), ByteString(decimal: last)]
    }

    fileprivate init?(fields: [ByteString]) {
        let numbers = fields.compactMap { $0.decimal }
        guard numbers.count == 3, numbers.allSatisfy({ $0 < 1 << 40 }) else { return nil }
        self.init(count: Int(numbers[0]), since: numbers[1], last: numbers[2])
    }
}

extension Listener {
    fileprivate var fields: [ByteString] {
        [
            identity.name, identity.transport.name, ByteString(decimal: identity.cookie),
            identity.isDualStack ? "dual" : "", publicPath ?? "",
        ] + identity.address.fields
    }

    fileprivate init?(fields: [ByteString]) {
        // Five of its own, and two or more of the address.
        guard fields.count >= 7, let cookie = fields[2].decimal,
            let transport = [Transport.tcp, .udp, .unix].first(where: { $0.name == fields[1] }),
            let address = SocketAddress(fields: Array(fields[5...]))
        else { return nil }
        identity = ListenerIdentity(
            name: fields[0], transport: transport, address: address, isDualStack: fields[3] == "dual", cookie: cookie)
        publicPath = fields[4].isEmpty ? nil : fields[4]
    }
}

extension SocketAddress {
    fileprivate var fields: [ByteString] {
        switch self {
        case .ipv4(let host, let port): ["4", ByteString(decimal: host), ByteString(decimal: port)]
        case .ipv6(let high, let low, let port, let scope):
            [
                "6", ByteString(decimal: high), ByteString(decimal: low), ByteString(decimal: port),
                ByteString(decimal: scope),
            ]
        case .unix(let path): ["unix", path]
        }
    }

    /// Reads an address; `fields` has at least two.
    fileprivate init?(fields: [ByteString]) {
        if fields[0] == "unix" {
            self = .unix(fields[1])
            return
        }
        let numbers = fields.compactMap { $0.decimal }
        guard numbers.count == fields.count else { return nil }
        switch (numbers[0], numbers.count) {
        case (4, 3): self = .ipv4(UInt32(truncatingIfNeeded: numbers[1]), port: UInt16(truncatingIfNeeded: numbers[2]))
        case (6, 5):
            self = .ipv6(
                high: numbers[1], low: numbers[2], port: UInt16(truncatingIfNeeded: numbers[3]),
                scope: UInt32(truncatingIfNeeded: numbers[4]))
        default: return nil
        }
    }
}
