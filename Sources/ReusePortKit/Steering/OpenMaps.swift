import CLinux

/// The open maps of an app that is steered by two banks.
struct OpenMaps: ~Copyable {
    let selector: SelectorMap
    private var slots: OwnedArray<SlotsMap>
    /// Their ids, for the app's file.
    private(set) var ids: TwoBanks

    /// Opens recorded maps. ENOENT or ESTALE: they are gone.
    init(_ recorded: TwoBanks) throws(Errno) {
        let selector = try SelectorMap.open(id: recorded.selector)
        var slots = OwnedArray<SlotsMap>()
        var ids = TwoBanks(selector: recorded.selector, slots: [])
        for one in recorded.slots {
            // The map of a socket that no generation has any more is gone.
            guard let map = try SlotsMap.openIfThere(id: one.map) else { continue }
            slots.append(map)
            ids.slots.append(one)
        }
        self.selector = selector
        self.slots = slots
        self.ids = ids
    }

    /// Makes a new selector; `add` makes the slots of each socket.
    init() throws(Errno) {
        let selector = try SelectorMap.create()
        ids = TwoBanks(selector: try selector.id(), slots: [])
        self.selector = selector
        slots = OwnedArray()
    }

    /// Makes maps for sockets that have none yet.
    mutating func add(_ listeners: [Listener]) throws(Failure) {
        for listener in listeners where listener.isInGroup && index(of: listener.identity.name) == nil {
            let name = listener.identity.name
            try step("make", "the slots of socket \(name)") { () throws(Errno) in
                let map = try SlotsMap.create()
                ids.slots.append(TwoBanks.SocketSlots(name: name, map: try map.id()))
                slots.append(map)
            }
        }
    }

    func place(_ listener: borrowing Descriptor, of name: ByteString, in slot: Slot) throws(Errno) {
        guard let index = index(of: name) else { throw .noEntry }
        try slots[index].place(listener, in: slot)
    }

    func clear(_ name: ByteString, _ slot: Slot) throws(Errno) {
        guard let index = index(of: name) else { return }
        try slots[index].clear(slot)
    }

    /// Attaches programs to the groups of these listeners, also where they may be attached already: the kernel does not
    /// tell, and attaching again changes nothing.
    func attach(
        to listeners: [Listener], held: borrowing OwnedArray<Placement>, _ balance: Balance
    ) throws(Failure) {
        for (index, listener) in listeners.enumerated() where listener.isInGroup {
            let identity = listener.identity
            do throws(LoadFailure) {
                try attach(to: held[index].source, of: identity.name, balance.forTransport(identity.transport))
            } catch {
                throw Failure(
                    .system, "load", "the selection program of socket \(identity.name)", error.errno.description,
                    remedy: error.log.isEmpty ? nil : "the verifier says: \(error.log)")
            }
        }
    }

    /// Makes servers outside any app the live members of new maps, so that they alone get connections until the first
    /// cutover. Returns those for which it succeeded.
    func adopt(_ foreign: [ForeignListener], into bank: Bank) -> [ForeignListener] {
        var adopted: [ForeignListener] = []
        var count: UInt16 = 0
        // One for all: others wait for the locks that are held meanwhile.
        let deadline = borrowingDeadline()
        for (index, one) in foreign.enumerated() where index < Bank.copies {
            let obstacle = reason { () throws(Errno) in
                try borrowSocket(of: one.holder, cookie: one.record.cookie, until: deadline) {
                    (listener) throws(Errno) in
                    try place(listener, of: one.name, in: Slot(bank, copy: UInt8(index)))
                    return ByteString()
                }
            }
            guard obstacle == nil else { continue }
            count = UInt16(index) + 1
            adopted.append(one)
        }
        if count > 0 {
            _ = reason { () throws(Errno) in try selector.store(Selector(liveBank: bank, liveCount: count)) }
        }
        return adopted
    }

    private func index(of name: ByteString) -> Int? { ids.slots.firstIndex { $0.name == name } }

    /// Loads the program for a socket and attaches it to the group of `listener`.
    func attach(
        to listener: borrowing Descriptor, of name: ByteString, _ balance: Balance
    ) throws(LoadFailure) {
        guard let index = index(of: name) else { return }
        let program = try TwoBankProgram(balance: balance, selector: selector, slots: slots[index])
        do throws(Errno) {
            try program.attach(to: listener)
        } catch {
            throw LoadFailure(errno: error, log: "")
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
