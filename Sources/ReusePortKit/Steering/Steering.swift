/// How an app's new connections get to its live generation; recorded in the app's file.
///
/// There are two ways for sockets in reuseport groups, `TwoBanks` (eBPF) and `ByIndex` (cBPF), and one for Unix sockets
/// in the file system, `Rename`, which an app uses beside either. Only this type tells them apart: callers use
/// operations and questions that do not depend on the way.
enum Steering: Sendable, Equatable {
    case twoBanks(TwoBanks)
    case byIndex(ByIndex)
    /// The kernel chooses by its hash, or the app has no sockets in groups.
    case off

    /// The value of `--steering` that means this way.
    var choice: SteeringChoice {
        switch self {
        case .twoBanks: .ebpf
        case .byIndex: .cbpf
        case .off: .off
        }
    }

    var name: ByteString { choice.name }
}

// MARK: - Questions

extension Steering {
    /// Which bank gets connections, according to the kernel.
    enum LiveBank: Equatable {
        case bank(Bank)
        /// The maps are gone, because the last member of the groups has closed.
        case lost
        /// The kernel keeps no bank, or we may not look.
        case unknown
    }

    var liveBank: LiveBank {
        guard case .twoBanks(let banks) = self else { return .unknown }
        return banks.liveBank
    }

    /// Whether members have to join and leave the groups one at a time, under the group lock, because their order has
    /// to be known.
    var needsTurn: Bool { groups != nil }

    /// Whether the coordinator has to keep listeners open until the old copies are gone, to direct the groups by them.
    var needsHeldListeners: Bool { groups != nil }

    /// Whether connections that were directed to a listener are reset when it closes, so that it has to be drained
    /// before its copy is stopped or withdrawn.
    var resetsQueued: Bool { groups != nil }

    /// Whether all that waits at closing listeners moves to these others. The selection program moves it, and only to
    /// listeners of the same address.
    func movesQueued(from closing: [Listener], to others: [Listener]) -> Bool {
        guard case .twoBanks = self else { return false }
        return TwoBanks.movesQueued(from: closing, to: others)
    }

    /// How long to wait for handshakes under way after the cutover, unless `--settle` is given.
    static func settleTime(movesQueued: Bool) -> Milliseconds { Milliseconds(movesQueued ? 0 : 200) }

    /// `slot 0/2`, for `state`; nil if steering does not use slots.
    func slotDescription(_ slot: Slot) -> ByteString? {
        guard case .twoBanks = self else { return nil }
        return "slot \(slot.bank.rawValue)/\(slot.copy)"
    }

    /// Whether one of these listeners has a place that others move into when it closes.
    func hasPlace(_ listeners: [Listener]) -> Bool { groups?.lastPlace(of: listeners) != nil }

    /// Whether members of these listeners' groups have left since connections were directed.
    func lackMembers(_ listeners: [Listener]) -> Bool { groups?.lackMembers(listeners) ?? false }

    /// The order in which copies of a generation may be stopped, in batches of those that may be stopped together.
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

    /// Carries out the part of an operation that concerns places, and keeps what it learned even if it fails.
    @inline(never)
    private mutating func withGroups(_ body: (inout ByIndex) throws(Failure) -> Void) throws(Failure) {
        guard case .byIndex(var groups) = self else { return }
        defer { self = .byIndex(groups) }
        try body(&groups)
    }

    /// Brings the programs up to date before these listeners join their groups. If a copy has left since, a new member
    /// could come to stand at a place that gets connections.
    mutating func prepareToListen(_ listeners: [Listener], live: GenerationListeners?) throws(Failure) {
        try withGroups { (groups) throws(Failure) in try groups.prepareToListen(listeners, live: live) }
    }

    /// Records the members of groups that are steered already, after these listeners have joined.
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

    /// Connects to one listener that clients do not reach yet. `live` serves clients meanwhile.
    mutating func probe(
        _ listener: Listener, held: borrowing Descriptor, live: GenerationListeners?
    ) throws(Failure) -> Descriptor {
        guard listener.isInGroup else { return try Rename.probe(listener.identity) }
        var probe = try Probe(of: listener.identity, held: held)
        switch self {
        case .twoBanks(let banks):
            try banks.connect(&probe, to: listener.identity, held: held)
        case .byIndex:
            try withGroups { (groups) throws(Failure) in
                try groups.connect(&probe, to: listener, held: held, live: live)
            }
        case .off: throw unsteered
        }
        return try probe.takeSocket(listener.identity, held: held)
    }

    /// Gives a generation the new connections of all sockets. Call `Rename.prepare` first, because this cannot be
    /// undone.
    ///
    /// `listeners` are those of one of its copies, one in each group. `changesBalance` says that the programs in use
    /// have another balance than this generation.
    mutating func cutOver(
        to generation: GenerationListeners, _ listeners: [Listener], held: borrowing OwnedArray<Placement>,
        changesBalance: Bool
    ) throws(Failure) {
        switch self {
        case .twoBanks(let banks):
            // Until now the programs kept the balance of the old generation.
            if changesBalance { try banks.attach(generation, listeners, held: held) }
            try banks.cutOver(to: generation)
        case .byIndex:
            try withGroups { (groups) throws(Failure) in try groups.direct(to: generation, listeners, held: held) }
        case .off: break
        }
        try Rename.publish(generation.rows.filter { $0.isServed }.map { $0.listener })
    }

    /// Gives a generation that was replaced the new connections again. By cBPF the roll back that follows does that.
    func comeBack(to generation: GenerationListeners) throws(Failure) {
        guard case .twoBanks(let banks) = self else { return }
        try banks.cutOver(to: generation)
        // With its balance.
        _ = try? banks.attachAgain(generation)
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

    /// Directs no more connections to slots that the live generation no longer has. Connections that wait at their
    /// listeners stay there.
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

    /// Directs everything to the live generation again by listeners that are held. If these are closed, because their
    /// copy has ended, it borrows others.
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
    /// Makes sure that groups are steered by this program's, and not by one that a process of an old generation has
    /// attached. By cBPF every change does that.
    func attachAgain(_ live: GenerationListeners) throws(Failure) {
        if case .twoBanks(let banks) = self { try banks.attachAgain(live) }
    }
}

extension Steering {
    /// What to record of these sockets, which are steered by programs that were found in the kernel.
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

    /// Reads what `lines` gives; nil if nothing was chosen. EINVAL: the lines are damaged.
    static func read(_ lines: [Line]) throws(Errno) -> Steering? {
        switch lines.first(where: { $0.key == "steering" })?.fields.first {
        case "ebpf"?: return .twoBanks(try TwoBanks(lines: lines))
        case "cbpf"?: return .byIndex(ByIndex(lines: lines))
        case "off"?: return .off
        default: return nil
        }
    }
}
