import CLinux

/// The maps of an app that is steered by two banks, open.
struct AppMaps: ~Copyable {
    let selector: SelectorMap
    private var slots: OwnedArray<SlotsMap>
    private(set) var names: [AppRecord.SocketSlots]
    let selectorID: UInt32

    /// Those that the registry names. ENOENT or ESTALE: they have gone.
    init(selector id: UInt32, slots recorded: [AppRecord.SocketSlots]) throws(Errno) {
        let selector = try SelectorMap.open(id: id)
        var slots = OwnedArray<SlotsMap>()
        var names: [AppRecord.SocketSlots] = []
        for one in recorded {
            // A socket that no generation has any more takes its map with it.
            guard let map = try SlotsMap.openIfThere(id: one.map) else { continue }
            slots.append(map)
            names.append(one)
        }
        self.selector = selector
        self.slots = slots
        self.names = names
        selectorID = id
    }

    /// New ones, with nobody in them.
    init() throws(Errno) {
        let selector = try SelectorMap.create()
        let id = try selector.id()
        self.selector = selector
        selectorID = id
        slots = OwnedArray()
        names = []
    }

    var steering: AppRecord.Steering { .twoBanks(selector: selectorID, slots: names) }

    /// Makes a map for a socket that has none yet.
    mutating func add(_ name: ByteString) throws(Errno) {
        if names.contains(where: { $0.name == name }) { return }
        let map = try SlotsMap.create()
        names.append(AppRecord.SocketSlots(name: name, map: try map.id()))
        slots.append(map)
    }

    func place(_ listener: borrowing Descriptor, of name: ByteString, in slot: Slot) throws(Errno) {
        guard let index = names.firstIndex(where: { $0.name == name }) else { throw .noEntry }
        try slots[index].place(listener, in: slot)
    }

    func clear(_ name: ByteString, _ slot: Slot) throws(Errno) {
        guard let index = names.firstIndex(where: { $0.name == name }) else { return }
        try slots[index].clear(slot)
    }

    func cookie(_ name: ByteString, in slot: Slot) throws(Errno) -> UInt64? {
        guard let index = names.firstIndex(where: { $0.name == name }) else { return nil }
        return try slots[index].cookie(in: slot)
    }

    /// Loads the program for a socket and has it steer the group of `listener`.
    func attach(to listener: borrowing Descriptor, of name: ByteString, _ balance: Balance) throws(LoadFailure) {
        guard let index = names.firstIndex(where: { $0.name == name }) else { return }
        let program = try TwoBankProgram(balance: balance, selector: selector, slots: slots[index])
        do throws(Errno) {
            try program.attach(to: listener)
        } catch {
            throw LoadFailure(errno: error, log: "")
        }
    }
}

extension AppMaps {
    /// Has the groups of these listeners steered. Which program is attached cannot be asked; attaching the same again
    /// changes nothing.
    func attach(
        to listeners: [ListenerIdentity], _ sockets: borrowing OwnedArray<Placement>, _ balance: Balance
    ) throws(Failure) {
        for (index, listener) in listeners.enumerated() where listener.transport != .unix {
            do throws(LoadFailure) {
                try attach(to: sockets[index].source, of: listener.name, balance.forTransport(listener.transport))
            } catch {
                throw Failure(
                    .system, "load", "the selection program of socket \(listener.name)", error.errno.description,
                    remedy: error.log.isEmpty ? nil : "the verifier says: \(error.log)")
            }
        }
    }
}

extension SlotsMap {
    fileprivate static func openIfThere(id: UInt32) throws(Errno) -> SlotsMap? {
        do throws(Errno) {
            return try open(id: id)
        } catch {
            if error == .noEntry || error.rawValue == ESTALE { return nil }
            throw error
        }
    }
}

/// The order of a reuseport group after some of its members have left and others have come.
///
/// The kernel moves the last member into the hole of one that leaves, and appends who comes. When several have left at
/// once their order is not known; the one that is assumed here is that of retiring, from the last to the first.
func groupOrder(_ recorded: [UInt64], present: [UInt64]) -> [UInt64] {
    var order = recorded
    var index = order.count - 1
    while index >= 0 {
        if !present.contains(order[index]) {
            order[index] = order[order.count - 1]
            order.removeLast()
        }
        index -= 1
    }
    for cookie in present where !order.contains(cookie) { order.append(cookie) }
    return order
}
