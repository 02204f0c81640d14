import CLinux

// Level 2: which members of each reuseport group get connections, by their places in it.

/// The cookies of the listeners that share an address, oldest first.
func groupMembers(_ listener: ListenerIdentity) throws(Errno) -> [UInt64] {
    let isUDP = listener.transport == .udp
    let records = try internetSockets(
        isUDP ? .udp : .tcp, family: listener.address.family, states: isUDP ? .bound : .listening,
        localPort: listener.address.port)
    return oldestFirst(records).filter { $0.address == listener.address }.map { $0.cookie }
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

    /// Where the wanted generation stands in the group of a socket.
    func run(of generation: UInt64, in name: ByteString) -> (base: Int, count: Int)? {
        guard case .index(let orders)? = app.steering, let order = orders.first(where: { $0.name == name }) else {
            return nil
        }
        let wanted = running(generation).filter { $0.state == .ready || $0.state == .live }.flatMap { copy in
            copy.listeners.filter { $0.identity.name == name }.map { $0.identity.cookie }
        }
        return longestRun(order.cookies, of: wanted)
    }

    /// Where one listener stands.
    func place(of listener: ListenerIdentity) -> Int? {
        guard case .index(let orders)? = app.steering else { return nil }
        return orders.first { $0.name == listener.name }?.cookies.firstIndex(of: listener.cookie)
    }
}

/// Directs all connections of a group to the copies of one generation; `probe` goes to one listener only.
func direct(
    _ listener: borrowing Descriptor, to run: (base: Int, count: Int)?, _ balance: Balance,
    probe: (port: UInt16, place: Int)?
) throws(Errno) {
    guard let run, let program = IndexProgram(base: UInt32(run.base), count: UInt32(run.count), balance: balance) else {
        if let probe, let program = IndexProgram(base: UInt32(probe.place), count: 1, balance: balance) {
            return try program.attach(to: listener)
        }
        try detachSteering(from: listener)
        return
    }
    guard let probe else { return try program.attach(to: listener) }
    try program.attach(to: listener, probePort: probe.port, probePlace: UInt32(probe.place))
}
