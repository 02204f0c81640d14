/// What the registry says of an app.
struct AppRecord: Sendable, Equatable {
    /// How its connections are directed.
    enum Steering: Sendable, Equatable {
        /// Level 1, with the ids of the selector and of each socket's slots.
        case twoBanks(selector: UInt32, slots: [SocketSlots])
        /// Level 2, with the cookies of each socket's listeners in the order of their reuseport group.
        case index([SocketOrder])
        case off

        var name: ByteString {
            switch self {
            case .twoBanks: "ebpf"
            case .index: "cbpf"
            case .off: "off"
            }
        }
    }

    struct SocketSlots: Sendable, Equatable {
        var name: ByteString
        var map: UInt32
    }

    struct SocketOrder: Sendable, Equatable {
        var name: ByteString
        var cookies: [UInt64]
    }

    var steering: Steering?
    /// The number that the youngest generation got.
    var sequence: UInt64 = 0
    var generations: [GenerationRecord] = []
    /// In which its copies' groups are, once one has asked for a limit.
    var group: MemoryGroup?
    /// The generation whose copies are stopped until `resume`; what joins it is stopped as well.
    var suspended: UInt64?
    /// The label of the generation that is to be stopped when it takes over.
    var suspending: ByteString?

    init() {}

    var live: GenerationRecord? { generations.first { $0.state == .live } }
    var starting: GenerationRecord? { generations.first { $0.state == .starting } }

    func generation(_ order: UInt64) -> GenerationRecord? { generations.first { $0.order == order } }

    /// Changes the generation with this number, if it is known.
    mutating func change(_ order: UInt64, _ body: (inout GenerationRecord) -> Void) {
        guard let index = generations.firstIndex(where: { $0.order == order }) else { return }
        body(&generations[index])
    }
}

/// What the registry says of a generation.
struct GenerationRecord: Sendable, Equatable {
    enum State: UInt8, Sendable, CaseIterable {
        /// Its copies are started, and get no connections yet.
        case starting
        /// It gets the connections.
        case live
        /// It is being told to stop.
        case retiring
        /// Its listeners are closed, it finishes what it is at.
        case retired
        /// It never took over.
        case failed
        /// All its copies have gone.
        case ended

        var name: ByteString {
            switch self {
            case .starting: "starting"
            case .live: "live"
            case .retiring: "retiring"
            case .retired: "retired"
            case .failed: "failed"
            case .ended: "ended"
            }
        }
    }

    /// Unique in the app: labels are used again, numbers are not.
    var order: UInt64
    var label: ByteString
    var copies: Int
    var bank: Bank
    /// What its first copy said, for all of them; nil if that is not known any more.
    var balance: Balance?
    var state: State
    /// Seconds since 1970 of the last change of state.
    var since: UInt64
    /// Why it failed or ended.
    var outcome: GenerationOutcome

    init(
        order: UInt64, label: ByteString, copies: Int, bank: Bank, balance: Balance? = nil, state: State, since: UInt64,
        outcome: GenerationOutcome = .none
    ) {
        self.order = order
        self.label = label
        self.copies = copies
        self.bank = bank
        self.balance = balance
        self.state = state
        self.since = since
        self.outcome = outcome
    }
}

extension AppRecord {
    /// The file's contents.
    var text: ByteString {
        var file = RegistryText()
        file.add("format", "1")
        file.add("sequence", ByteString(decimal: sequence))
        switch steering {
        case nil: break
        case .twoBanks(let selector, let slots):
            file.add("steering", "ebpf")
            file.add("selector", ByteString(decimal: selector))
            for one in slots { file.add("slots", ByteString(decimal: one.map), one.name) }
        case .index(let orders):
            file.add("steering", "cbpf")
            for one in orders { file.add("order", list: [one.name] + one.cookies.map { ByteString(decimal: $0) }) }
        case .off:
            file.add("steering", "off")
        }
        if let group { file.add("group", list: group.fields) }
        if let suspended { file.add("suspended", ByteString(decimal: suspended)) }
        if let suspending { file.add("suspending", suspending) }
        for one in generations {
            file.add(
                "generation", ByteString(decimal: one.order), one.label, ByteString(decimal: one.copies),
                ByteString(decimal: one.bank.rawValue), one.state.name, ByteString(decimal: one.since),
                one.outcome.description)
            if one.outcome != .none { file.add("outcome", list: [ByteString(decimal: one.order)] + one.outcome.fields) }
            if let balance = one.balance { file.add("balance", ByteString(decimal: one.order), balance.name) }
        }
        return file.text
    }

    /// Reads the file; nil if it is not whole or not ours.
    init?(text: ByteString) {
        // Nobody counts that far: it is damage, and must not overflow what is added to it.
        guard let file = RegistryText(text), file.number("format") == 1, let sequence = file.number("sequence"),
            sequence < 1 << 62
        else {
            return nil
        }
        self.sequence = sequence
        group = file.fields("group").flatMap { MemoryGroup(fields: $0) }
        switch file.fields("steering")?.first {
        case "ebpf"?:
            guard let selector = file.number("selector") else { return nil }
            var slots: [SocketSlots] = []
            for line in file.lines where line.key == "slots" {
                guard line.fields.count == 2, let map = line.fields[0].decimal else { return nil }
                slots.append(SocketSlots(name: line.fields[1], map: UInt32(truncatingIfNeeded: map)))
            }
            steering = .twoBanks(selector: UInt32(truncatingIfNeeded: selector), slots: slots)
        case "cbpf"?:
            var orders: [SocketOrder] = []
            for line in file.lines where line.key == "order" {
                orders.append(
                    SocketOrder(name: line.fields[0], cookies: line.fields.dropFirst().compactMap { $0.decimal }))
            }
            steering = .index(orders)
        case "off"?: steering = .off
        default: steering = nil
        }
        suspended = file.number("suspended")
        suspending = file.fields("suspending")?.first
        for line in file.lines where line.key == "generation" {
            guard line.fields.count == 7, let order = line.fields[0].decimal, let copies = line.fields[2].decimal,
                let bank = line.fields[3].decimal, order < 1 << 62, let since = line.fields[5].decimal,
                let state = GenerationRecord.State.allCases.first(where: { $0.name == line.fields[4] })
            else { return nil }
            generations.append(
                GenerationRecord(
                    order: order, label: line.fields[1], copies: Int(truncatingIfNeeded: copies & 0xFFF),
                    bank: bank == 0 ? .first : .second, state: state, since: since,
                    outcome: line.fields[6].isEmpty ? .none : .other(line.fields[6])))
        }
        for line in file.lines where line.key == "outcome" && line.fields.count > 1 {
            guard let order = line.fields[0].decimal, let outcome = GenerationOutcome(fields: Array(line.fields[1...]))
            else { continue }
            change(order) { $0.outcome = outcome }
        }
        for line in file.lines where line.key == "balance" && line.fields.count == 2 {
            guard let order = line.fields[0].decimal else { continue }
            change(order) { $0.balance = Balance.named(line.fields[1]) }
        }
    }
}
