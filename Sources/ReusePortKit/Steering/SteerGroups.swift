import CLinux

// Level 2: which members of each reuseport group get connections, by their places in it.

/// The cookies of the listeners that share an address, oldest first.
func groupMembers(_ listener: ListenerIdentity) throws(Errno) -> [UInt64] {
    let records = try sockets(of: listener.transport, family: listener.address.family, on: listener.address.port)
    return oldestFirst(records).filter { $0.address == listener.address }.map { $0.cookie }
}

/// Those that listen on a port, or with UDP are bound to it.
func sockets(of transport: Transport, family: Int32? = nil, on port: UInt16?) throws(Errno) -> [SocketRecord] {
    let isUDP = transport == .udp
    return try internetSockets(
        isUDP ? .udp : .tcp, family: family, states: isUDP ? .bound : .listening, localPort: port)
}

extension AppState {
    /// Brings the orders of the groups up to date.
    mutating func followGroups(_ listeners: [ListenerIdentity]) throws(Failure) {
        guard case .index(var orders)? = app.steering else { return }
        for listener in listeners where listener.transport != .unix {
            let present = try step("list", "listeners of socket \(listener.name)") { () throws(Errno) in
                try groupMembers(listener)
            }
            if let index = orders.firstIndex(where: { $0.name == listener.name }) {
                orders[index].cookies = groupOrder(orders[index].cookies, present: present)
            } else {
                orders.append(AppRecord.SocketOrder(name: listener.name, cookies: present))
            }
        }
        app.steering = .index(orders)
    }

    /// Where each copy of a generation stands in the group of a socket, by the copy's number. One that is missing gives
    /// its share to the next one that is there, as an empty slot does at level 1; empty if there is none.
    func places(of generation: UInt64, in name: ByteString) -> [Int] {
        guard case .index(let orders)? = app.steering, let order = orders.first(where: { $0.name == name }),
            let count = app.generation(generation).map({ min($0.copies, Bank.copies) }), count > 0
        else { return [] }
        var found = [Int?](repeating: nil, count: count)
        for copy in running(generation) where (copy.state == .ready || copy.state == .live) && copy.copy < count {
            guard let listener = copy.listeners.first(where: { $0.identity.name == name }) else { continue }
            found[copy.copy] = order.cookies.firstIndex(of: listener.identity.cookie)
        }
        guard var next = found.first(where: { $0 != nil }) ?? nil else { return [] }
        var places = [Int](repeating: next, count: count)
        for copy in found.indices.reversed() {
            next = found[copy] ?? next
            places[copy] = next
        }
        return places
    }

    /// The steps in which copies are to be stopped. At level 2 those that listen one after the other, that it is known
    /// who moves where; from the last place to the first, as `groupOrder` assumes it of those that leave by themselves.
    func inOrderOfStopping(_ copies: [CopyRecord]) -> [[CopyRecord]] {
        guard case .index? = app.steering else { return [copies] }
        let listening = copies.filter { lastPlace(of: $0) != nil }
        let others = copies.filter { lastPlace(of: $0) == nil }
        let sorted = listening.ordered { one, other in lastPlace(of: one) ?? 0 > lastPlace(of: other) ?? 0 }
        return sorted.map { [$0] } + (others.isEmpty ? [] : [others])
    }

    /// The last place that a copy has in any group; nil if it has none.
    func lastPlace(of copy: CopyRecord) -> Int? { copy.listeners.compactMap { place(of: $0.identity) }.max() }

    /// Where one listener stands.
    func place(of listener: ListenerIdentity) -> Int? {
        guard case .index(let orders)? = app.steering else { return nil }
        return orders.first { $0.name == listener.name }?.cookies.firstIndex(of: listener.cookie)
    }
}

/// Directs all connections of a group to the copies that stand at these places; `probe` goes to one listener only.
func direct(
    _ listener: borrowing Descriptor, to places: [Int], _ balance: Balance, probe: (port: UInt16, place: Int)? = nil
) throws(Errno) {
    guard let program = IndexProgram(places: places, balance: balance) else {
        if let probe, let program = IndexProgram(places: [probe.place], balance: balance) {
            return try program.attach(to: listener)
        }
        try detachSteering(from: listener)
        return
    }
    guard let probe else { return try program.attach(to: listener) }
    try program.attach(to: listener, probePort: probe.port, probePlace: UInt32(probe.place))
}
