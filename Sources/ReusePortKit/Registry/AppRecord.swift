/// What the registry says of an app.
struct AppRecord: Sendable, Equatable {
    /// How its connections are directed; nil: not chosen yet, or lost.
    var steering: Steering?
    /// The number that the youngest generation got.
    var lastID: UInt64 = 0
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

    func generation(_ id: UInt64) -> GenerationRecord? { generations.first { $0.id == id } }

    /// Changes the generation with this number, if it is known.
    mutating func change(_ id: UInt64, _ body: (inout GenerationRecord) -> Void) {
        guard let index = generations.firstIndex(where: { $0.id == id }) else { return }
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
    var id: UInt64
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
        id: UInt64, label: ByteString, copies: Int, bank: Bank, balance: Balance? = nil, state: State, since: UInt64,
        outcome: GenerationOutcome = .none
    ) {
        self.id = id
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
        file.add("sequence", ByteString(decimal: lastID))
        for line in steering?.lines ?? [] { file.lines.append(RegistryText.Line(key: line.key, fields: line.fields)) }
        if let group { file.add("group", list: group.fields) }
        if let suspended { file.add("suspended", ByteString(decimal: suspended)) }
        if let suspending { file.add("suspending", suspending) }
        for one in generations {
            file.add(
                "generation", ByteString(decimal: one.id), one.label, ByteString(decimal: one.copies),
                ByteString(decimal: one.bank.rawValue), one.state.name, ByteString(decimal: one.since),
                one.outcome.description)
            if one.outcome != .none { file.add("outcome", list: [ByteString(decimal: one.id)] + one.outcome.fields) }
            if let balance = one.balance { file.add("balance", ByteString(decimal: one.id), balance.name) }
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
        lastID = sequence
        group = file.fields("group").flatMap { MemoryGroup(fields: $0) }
        do throws(Errno) {
            steering = try Steering.read(file.lines.map { ($0.key, $0.fields) })
        } catch {
            return nil
        }
        suspended = file.number("suspended")
        suspending = file.fields("suspending")?.first
        for line in file.lines where line.key == "generation" {
            guard line.fields.count == 7, let id = line.fields[0].decimal, let copies = line.fields[2].decimal,
                let bank = line.fields[3].decimal, id < 1 << 62, let since = line.fields[5].decimal,
                let state = GenerationRecord.State.allCases.first(where: { $0.name == line.fields[4] })
            else { return nil }
            generations.append(
                GenerationRecord(
                    id: id, label: line.fields[1], copies: Int(truncatingIfNeeded: copies & 0xFFF),
                    bank: bank == 0 ? .first : .second, state: state, since: since,
                    outcome: line.fields[6].isEmpty ? .none : .other(line.fields[6])))
        }
        for line in file.lines where line.key == "outcome" && line.fields.count > 1 {
            guard let id = line.fields[0].decimal, let outcome = GenerationOutcome(fields: Array(line.fields[1...]))
            else { continue }
            change(id) { $0.outcome = outcome }
        }
        for line in file.lines where line.key == "balance" && line.fields.count == 2 {
            guard let id = line.fields[0].decimal else { continue }
            change(id) { $0.balance = Balance.named(line.fields[1]) }
        }
    }
}
