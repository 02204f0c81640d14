/// How an app's new connections come to its live generation, as the app's file records it.
///
/// There are two ways for sockets in reuseport groups, `TwoBanks` (eBPF) and `ByIndex` (cBPF), and one for Unix sockets
/// in the file system, `Rename`, which an app uses beside either. Only this type tells them apart: callers ask for
/// operations, and put questions by their meaning.
enum Steering: Sendable, Equatable {
    case twoBanks(TwoBanks)
    case byIndex(ByIndex)
    /// The kernel chooses by its hash, or the app has no sockets in groups.
    case off

    /// As `--steering` takes it and as the app's file has it.
    var name: ByteString {
        switch self {
        case .twoBanks: "ebpf"
        case .byIndex: "cbpf"
        case .off: "off"
        }
    }
}

// MARK: - Questions

extension Steering {
    /// What the kernel says of who gets connections.
    enum LiveBank: Equatable {
        case bank(Bank)
        /// The maps are gone: the last member of the groups has closed.
        case lost
        /// Nothing is kept in the kernel, or it may not be looked at.
        case unknown
    }

    var liveBank: LiveBank {
        guard case .twoBanks(let banks) = self else { return .unknown }
        return banks.liveBank
    }

    /// Whether members have to join and leave the groups one at a time, under the group lock: places shift when one
    /// leaves, and it has to be known who was there first.
    var needsTurn: Bool { groups != nil }

    /// Whether the coordinator has to keep listeners open until the old copies have gone, to direct the groups by them.
    var needsHeldListeners: Bool { groups != nil }

    /// Whether connections that were directed to a listener are reset when it closes, so that it has to be drained
    /// before its copy is stopped or withdrawn.
    var resetsQueued: Bool { groups != nil }

    /// Whether everything that waits at closing listeners moves to these others: by the selection program, and only to
    /// listeners of the same address.
    func movesQueued(from closing: [Listener], to others: [Listener]) -> Bool {
        guard case .twoBanks = self else { return false }
        return TwoBanks.movesQueued(from: closing, to: others)
    }

    /// How long handshakes under way are waited for after the cutover, unless `--settle` says otherwise.
    static func settleTime(movesQueued: Bool) -> Milliseconds { Milliseconds(movesQueued ? 0 : 200) }

    /// `slot 0/2`: where a listener stands, for `state`; nil if that is told by the kernel only.
    func slotDescription(_ slot: Slot) -> ByteString? {
        guard case .twoBanks = self else { return nil }
        return "slot \(slot.bank.rawValue)/\(slot.copy)"
    }

    /// Whether one of these listeners has a place that others move into when it closes.
    func hasPlace(_ listeners: [Listener]) -> Bool {
        groups?.lastPlace(of: listeners) != nil
    }

    /// The order in which copies of a generation may be stopped: their numbers, those that may be stopped together in
    /// one batch.
    func stopBatches(_ copies: [Int], of generation: GenerationListeners) -> [[Int]] {
        groups?.stopBatches(copies, of: generation) ?? [copies]
    }
}

// MARK: - Operations

extension Steering {
    private var groups: ByIndex? {
        guard case .byIndex(let groups) = self else { return nil }
        return groups
    }

    /// Carries out a part of an operation that concerns places. What it finds out is kept even if it fails.
    private mutating func withGroups(_ body: (inout ByIndex) throws(Failure) -> Void) throws(Failure) {
        guard case .byIndex(var groups) = self else { return }
        defer { self = .byIndex(groups) }
        try body(&groups)
    }

    /// Brings the programs up to date before these listeners join their groups. If a copy has left since a program was
    /// made, a new member can come to stand at a place that gets connections.
    mutating func prepareToListen(_ listeners: [Listener], live: GenerationListeners?) throws(Failure) {
        try withGroups { (groups) throws(Failure) in try groups.prepareToListen(listeners, live: live) }
    }

    /// Notes who is in the groups after more listeners have joined, whose groups are steered already.
    mutating func noteJoined(_ listeners: [Listener]) throws(Failure) {
        try withGroups { (groups) throws(Failure) in try groups.follow(listeners) }
    }

    /// Puts listeners of a generation into their slots, where they get connections as soon as it is live.
    func place(
        _ listeners: [Listener], of generation: GenerationListeners, held: borrowing OwnedArray<Placement>
    ) throws(Errno) {
        guard case .twoBanks(let banks) = self else { return }
        try banks.place(listeners, of: generation, held: held)
    }

    /// Connects to one listener that no client can see yet. `live` is who serves clients meanwhile.
    mutating func probe(
        _ listener: Listener, held: borrowing Descriptor, live: GenerationListeners?
    ) throws(Failure) -> Descriptor {
        guard listener.isInGroup else { return try Rename.probe(listener.identity) }
        let probe = try Probe(of: listener.identity)
        switch self {
        case .twoBanks(let banks):
            try banks.connect(probe, to: listener.identity, held: held)
        case .byIndex:
            try withGroups { (groups) throws(Failure) in
                try groups.connect(probe, to: listener, held: held, live: live)
            }
        case .off:
            probe.connect()
        }
        return probe.takeSocket()
    }

    /// Makes a generation the one that gets new connections, on all sockets. `Rename.prepare` comes first, for what has
    /// been switched is not undone.
    ///
    /// `listeners` are those of one of its copies, one in each group. `changesBalance` says that the programs in use
    /// share connections in another way than this generation asks for.
    mutating func cutOver(
        to generation: GenerationListeners, _ listeners: [Listener], held: borrowing OwnedArray<Placement>,
        changesBalance: Bool
    ) throws(Failure) {
        switch self {
        case .twoBanks(let banks):
            // The copies that are about to go were kept as they were until now.
            if changesBalance { try banks.attach(generation, listeners, held: held) }
            try banks.cutOver(to: generation)
        case .byIndex:
            try withGroups { (groups) throws(Failure) in try groups.direct(to: generation, listeners, held: held) }
        case .off: break
        }
        try Rename.publish(generation.rows.filter { $0.isServed }.map { $0.listener })
    }

    /// Lets listeners that joined the live generation get connections.
    mutating func grow(
        to generation: GenerationListeners, by listeners: [Listener], held: borrowing OwnedArray<Placement>
    ) throws(Failure) {
        switch self {
        case .twoBanks(let banks): try banks.grow(to: generation)
        case .byIndex:
            try withGroups { (groups) throws(Failure) in try groups.direct(to: generation, listeners, held: held) }
        case .off: break
        }
        try Rename.publish(listeners)
    }

    /// Directs no new connection to slots that the live generation does not have any more. What waits at their
    /// listeners stays there.
    mutating func shrink(to generation: GenerationListeners) throws(Failure) {
        switch self {
        case .twoBanks(let banks): try banks.shrink(to: generation)
        case .byIndex:
            try withGroups { (groups) throws(Failure) in try groups.direct(to: generation) }
        case .off: break
        }
    }

    /// Directs no more connections to listeners that only these copies of the live generation hold; the others get
    /// their share.
    mutating func withdraw(_ copies: [Int], of generation: GenerationListeners) throws(Failure) {
        switch self {
        case .twoBanks(let banks): try banks.withdraw(copies, of: generation)
        case .byIndex:
            try withGroups { (groups) throws(Failure) in try groups.direct(to: generation) }
        case .off: break
        }
    }

    /// Directs everything to the live generation again, after copies have come, gone or failed. A process that has no
    /// listeners borrows one of each socket from a copy that runs.
    mutating func rollBack(to live: GenerationListeners) throws(Failure) {
        try withGroups { (groups) throws(Failure) in try groups.direct(to: live) }
    }

    /// The same with listeners that are held. They are closed when their copy has ended; then others are borrowed.
    mutating func rollBack(
        to live: GenerationListeners, _ listeners: [Listener], held: borrowing OwnedArray<Placement>
    ) throws(Failure) {
        try withGroups { (groups) throws(Failure) in
            do throws(Failure) {
                try groups.direct(to: live, listeners, held: held)
            } catch {
                try groups.direct(to: live)
            }
        }
    }
}

// MARK: - After a loss

extension Steering {
    /// What is to be recorded once these sockets are known to be steered by programs that were found in the kernel.
    static func including(_ found: FoundSteering, _ names: [ByteString], in known: Steering?) -> Steering {
        var banks = TwoBanks(selector: found.selectorID, slots: [])
        if case .twoBanks(let same)? = known, same.selector == found.selectorID { banks = same }
        for name in names where !banks.slots.contains(where: { $0.name == name }) {
            banks.slots.append(TwoBanks.SocketSlots(name: name, map: found.slotsID))
        }
        return .twoBanks(banks)
    }
}

// MARK: - In the app's file

extension Steering {
    /// A line of the app's file.
    typealias Line = (key: ByteString, fields: [ByteString])

    var lines: [Line] {
        switch self {
        case .twoBanks(let banks): [("steering", [name])] + banks.lines
        case .byIndex(let groups): [("steering", [name])] + groups.lines
        case .off: [("steering", [name])]
        }
    }

    /// Reads what `lines` gives; nil if nothing was chosen. EINVAL: it is damaged.
    static func read(_ lines: [Line]) throws(Errno) -> Steering? {
        switch lines.first(where: { $0.key == "steering" })?.fields.first {
        case "ebpf"?: return .twoBanks(try TwoBanks(lines: lines))
        case "cbpf"?: return .byIndex(ByIndex(lines: lines))
        case "off"?: return .off
        default: return nil
        }
    }
}
