import CLinux

/// Steering by eBPF, which needs root: an app's sockets share a selector, which says which of two banks of slots is
/// live, so that one store cuts all of them over at once. Connections that wait at a listener when it closes move to
/// others.
///
/// The maps exist in the kernel as long as the groups have a member; this type has their ids.
struct TwoBanks: Sendable, Equatable {
    struct SocketSlots: Sendable, Equatable {
        var name: ByteString
        var map: UInt32
    }

    var selector: UInt32
    var slots: [SocketSlots]
}

// MARK: - Attaching

extension TwoBanks {
    /// Makes new maps and attaches programs that read them. Servers outside any app that share an address stay live
    /// until the cutover.
    init(
        _ request: SteeringRequest, _ listeners: [Listener], held: borrowing OwnedArray<Placement>,
        foreign: inout [ForeignListener]
    ) throws(Failure) {
        var maps = try step(
            "make", "the maps of app \(request.app)",
            remedy: { $0 == .notPermitted ? "run as root, or use --steering cbpf" : nil }
        ) { () throws(Errno) in try OpenMaps() }
        try maps.add(listeners)
        if let bank = request.nextBank, request.live == nil {
            foreign = maps.adopt(findForeignListeners(at: listeners, except: request.known), into: bank.other)
        }
        try maps.attach(to: listeners, held: held, request.balance)
        self = maps.ids
    }

    /// Attaches programs for the maps that are in use, and makes maps for new sockets.
    mutating func attach(
        _ request: SteeringRequest, _ listeners: [Listener], held: borrowing OwnedArray<Placement>
    ) throws(Failure) {
        var maps = try step("open", "the maps of app \(request.app)") { () throws(Errno) in try OpenMaps(self) }
        try maps.add(listeners)
        try maps.attach(to: listeners, held: held, request.balance)
        self = maps.ids
    }

    /// Attaches programs with the balance of this generation.
    func attach(
        _ generation: GenerationListeners, _ listeners: [Listener], held: borrowing OwnedArray<Placement>
    ) throws(Failure) {
        let maps = try step("cut over", "generation \(generation.label)") { () throws(Errno) in try OpenMaps(self) }
        try maps.attach(to: listeners, held: held, generation.balance ?? .random)
    }

    /// Attaches programs again, by members of a generation's groups that it borrows: a process that had to be killed may
    /// have attached one of its own.
    func attachAgain(_ generation: GenerationListeners) throws(Failure) {
        var done: [ByteString] = []
        let deadline = borrowingDeadline()
        for row in generation.rows where row.isServed && row.listener.isInGroup {
            let name = row.listener.identity.name
            if done.contains(name) { continue }
            let balance = generation.balance(for: row.listener.identity.transport)
            let obstacle = reason { () throws(Errno) in
                try withMember(ofGroupOf: row.listener.identity, first: row.process, until: deadline) {
                    (member) throws(Errno) in
                    let maps = try OpenMaps(self)
                    do throws(LoadFailure) {
                        try maps.attach(to: member, of: name, balance)
                    } catch {
                        throw error.errno
                    }
                }
            }
            switch obstacle {
            case nil: done.append(name)
            case .noEntry?, .noProcess?, .notPermitted?, .processLimit?, .timedOut?: continue
            case let errno?: throw Failure("attach", "the selection program of socket \(name)", errno)
            }
        }
    }

    func place(
        _ listeners: [Listener], of generation: GenerationListeners, held: borrowing OwnedArray<Placement>
    ) throws(Errno) {
        let maps = try OpenMaps(self)
        for (index, listener) in listeners.enumerated() where listener.isInGroup {
            guard let slot = generation.slot(of: listener) else { throw .noEntry }
            try maps.place(held[index].source, of: listener.identity.name, in: slot)
        }
    }
}

// MARK: - Switching

extension TwoBanks {
    /// Connects a probe to a listener: until connect(2) returns, connections from the probe's port go there.
    func connect(
        _ probe: inout Probe, to identity: ListenerIdentity, held: borrowing Descriptor
    ) throws(Failure) {
        try step("connect", "a probe to socket \(identity.name)") { () throws(Errno) in
            let maps = try OpenMaps(self)
            try maps.place(held, of: identity.name, in: .probe)
            var word = try maps.selector.load()
            word.probePort = probe.port
            try maps.selector.store(word)
            probe.connect()
            word.probePort = nil
            try maps.selector.store(word)
            try maps.clear(identity.name, .probe)
        }
    }

    func cutOver(to generation: GenerationListeners) throws(Failure) {
        try changeSelector("cut over", generation) { word in
            word = Selector(
                liveBank: generation.bank, liveCount: UInt16(generation.slots), nextCount: word.liveCount)
        }
    }

    func grow(to generation: GenerationListeners) throws(Failure) {
        try changeSelector("widen", generation) { word in
            word.liveBank = generation.bank
            word.liveCount = max(UInt16(generation.slots), word.liveCount)
        }
    }

    func shrink(to generation: GenerationListeners) throws(Failure) {
        try changeSelector("narrow", generation) { word throws(Errno) in
            guard word.liveBank == generation.bank else { throw .invalid }
            word.liveCount = UInt16(generation.slots)
        }
    }

    /// Empties the slots of these copies' listeners, except for those that other copies still serve.
    func withdraw(_ copies: [Int], of generation: GenerationListeners) throws(Failure) {
        try step("withdraw", "copies of the live generation") { () throws(Errno) in
            let maps = try OpenMaps(self)
            for row in generation.rows where !row.isServed && row.copies.contains(where: { copies.contains($0) }) {
                guard let slot = generation.slot(of: row.listener) else { continue }
                try maps.clear(row.listener.identity.name, slot)
            }
        }
    }

    @inline(never)
    private func changeSelector(
        _ verb: StaticString, _ generation: GenerationListeners, _ change: (inout Selector) throws(Errno) -> Void
    ) throws(Failure) {
        try step(verb, "generation \(generation.label)") { () throws(Errno) in
            let map = try SelectorMap.open(id: selector)
            var word = try map.load()
            try change(&word)
            try map.store(word)
        }
    }
}

// MARK: - Questions

extension TwoBanks {
    /// Unknown also if we may not open the selector; then we could not change it either.
    var liveBank: Steering.LiveBank {
        do throws(Errno) {
            let word = try SelectorMap.open(id: selector).load()
            return word.liveCount > 0 ? .bank(word.liveBank) : .unknown
        } catch {
            return error == .noEntry || error.rawValue == ESTALE ? .lost : .unknown
        }
    }

    /// Whether all closing listeners are TCP and have another listener at their address; datagrams do not move.
    static func movesQueued(from closing: [Listener], to others: [Listener]) -> Bool {
        closing.allSatisfy { old in
            old.identity.transport == .tcp
                && others.contains { new in
                    new.identity.transport == .tcp && new.identity.address == old.identity.address
                }
        }
    }
}

// MARK: - In the app's file

extension TwoBanks {
    var lines: [Steering.Line] {
        [("selector", [ByteString(decimal: selector)])]
            + slots.map { ("slots", [ByteString(decimal: $0.map), $0.name]) }
    }

    /// EINVAL: a line is damaged.
    init(lines: [Steering.Line]) throws(Errno) {
        guard let id = lines.first(where: { $0.key == "selector" })?.fields.first?.decimal else { throw .invalid }
        self.init(selector: UInt32(truncatingIfNeeded: id), slots: [])
        for line in lines where line.key == "slots" {
            guard line.fields.count == 2, let map = line.fields[0].decimal else { throw .invalid }
            slots.append(SocketSlots(name: line.fields[1], map: UInt32(truncatingIfNeeded: map)))
        }
    }
}
