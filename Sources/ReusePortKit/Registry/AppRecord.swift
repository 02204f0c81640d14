/// The registry's record of an app. A class, because it is too large to be copied: an `AppState` has its own.
final class AppRecord {
    /// How its connections are directed; nil: not chosen yet, or lost.
    var steering: Steering?
    /// The id of the youngest generation.
    var lastID: UInt64 = 0
    /// How many copies have been started.
    var starts: UInt64 = 0
    var generations: [GenerationRecord] = []
    /// The group above those of its newest copies.
    var group: ControlGroup?
    /// The generation whose copies are stopped until `resume`; copies that join it are stopped as well.
    var suspended: UInt64?
    /// The label of the generation whose copies are stopped when it takes over.
    var suspending: ByteString?

    init() {}

    @inline(never)
    var live: GenerationRecord? { generations.first { $0.state == .live } }
    @inline(never)
    var starting: GenerationRecord? { generations.first { $0.state == .starting } }

    /// The generation of copies that listened after the registry was lost; it is ended by the next one.
    var found: GenerationRecord? { generations.first { $0.state == .retiring && $0.outcome == .recovered } }

    func generation(_ id: UInt64) -> GenerationRecord? { generations.first { $0.id == id } }

    /// Changes the generation with this id, if it is known.
    @inline(never)
    func change(_ id: UInt64, _ body: (GenerationRecord) -> Void) {
        guard let index = generations.firstIndex(where: { $0.id == id }) else { return }
        let changed = generations[index].copied
        body(changed)
        generations[index] = changed
    }
}

/// The registry's record of a generation.
///
/// A class, as `CopyRecord` is: saves 5 kB. A record that others may have is not changed, but copied (`change`).
final class GenerationRecord {
    enum State: ByteString, Sendable, CaseIterable {
        /// Its copies are started, and get no connections yet.
        case starting
        /// It gets the connections.
        case live
        /// It is being told to stop.
        case retiring
        /// Its listeners are closed, and it finishes its requests.
        case retired
        /// It never took over.
        case failed
        /// All its copies have gone.
        case ended

        var name: ByteString { rawValue }
    }

    /// Unique in the app: labels are used again, ids are not.
    var id: UInt64
    var label: ByteString
    var copies: Int
    var bank: Bank
    /// The balance that its first copy asked for; nil if it is not known any more.
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

    /// Whether another generation has taken over from it, and it was told nothing yet: it drains, or `--watch` keeps it.
    var isDraining: Bool { state == .retiring && outcome == .none }

    /// A record of its own with the same contents.
    var copied: GenerationRecord {
        GenerationRecord(
            id: id, label: label, copies: copies, bank: bank, balance: balance, state: state, since: since,
            outcome: outcome)
    }
}

extension AppRecord {
    /// The file's contents.
    var text: ByteString {
        var file = RegistryText()
        file.add("format", "1")
        file.add("boot", currentBoot)
        file.add("sequence", lastID)
        file.add("starts", starts)
        file.lines += steering?.lines ?? []
        file.add("group", list: group?.fields)
        file.add("suspended", suspended)
        file.add("suspending", suspending)
        for one in generations {
            file.add("generation", list: one.fields)
            if one.outcome != .none { file.add("outcome", list: [ByteString(decimal: one.id)] + one.outcome.fields) }
            if let balance = one.balance { file.add("balance", list: [ByteString(decimal: one.id), balance.name]) }
        }
        return file.text
    }

    /// Reads the file; nil if it is damaged.
    convenience init?(text: ByteString) {
        self.init()
        // A larger number is damage, and would overflow when one is added.
        guard let file = RegistryText(text), file.number("format") == 1, let sequence = file.number("sequence"),
            sequence < 1 << 62
        else {
            return nil
        }
        lastID = sequence
        starts = (file.number("starts") ?? 0) & (1 << 62 - 1)
        // The ids of maps are used again after a boot, and groups have gone.
        do throws(Errno) {
            if file.isOfThisBoot {
                steering = try Steering.read(file.lines)
                group = file.fields("group").flatMap { ControlGroup(fields: $0) }
            }
        } catch {
            return nil
        }
        suspended = file.number("suspended")
        suspending = file.fields("suspending")?.first
        for fields in file.all("generation") {
            guard let generation = GenerationRecord(fields: fields) else { return nil }
            generations.append(generation)
        }
        for fields in file.all("outcome") {
            guard let id = fields[0].decimal, let outcome = GenerationOutcome(fields: Array(fields[1...])) else {
                continue
            }
            change(id) { $0.outcome = outcome }
        }
        for fields in file.all("balance") where fields.count == 2 {
            guard let id = fields[0].decimal else { continue }
            change(id) { $0.balance = Balance.named(fields[1]) }
        }
    }
}

extension GenerationRecord {
    /// The fields of its first line in the app's file; outcome and balance have lines of their own.
    fileprivate var fields: [ByteString] {
        [
            ByteString(decimal: id), label, ByteString(decimal: copies), ByteString(decimal: bank.rawValue), state.name,
            ByteString(decimal: since), outcome.description,
        ]
    }

    fileprivate convenience init?(fields: [ByteString]) {
        guard fields.count == 7, let id = fields[0].decimal, id < 1 << 62, let copies = fields[2].decimal,
            let bank = fields[3].decimal, let state = State(rawValue: fields[4]), let since = fields[5].decimal
        else { return nil }
        self.init(
            id: id, label: fields[1], copies: Int(truncatingIfNeeded: copies & 0xFFF),
            bank: bank == 0 ? .first : .second, state: state, since: since,
            outcome: fields[6].isEmpty ? .none : .other(fields[6]))
    }
}
