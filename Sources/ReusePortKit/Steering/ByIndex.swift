import CLinux

/// Steering by classic BPF, which needs no privilege: the program of each group picks members by their places in it.
///
/// Places are the kernel's: who listens first stands first, and the last member moves into the hole of one that leaves.
/// So what stands where is recorded, brought up to date after each change, and the program made anew. Nothing moves
/// what waits at a listener that closes.
struct ByIndex: Sendable, Equatable {
    struct SocketOrder: Sendable, Equatable {
        var name: ByteString
        /// Of the members of its group, by their places.
        var cookies: [UInt64]
    }

    var orders: [SocketOrder]

    init(orders: [SocketOrder] = []) { self.orders = orders }
}

// MARK: - Who stands where

extension ByIndex {
    /// Brings the orders of these listeners' groups up to date.
    mutating func follow(_ listeners: [Listener]) throws(Failure) {
        for listener in listeners where listener.isInGroup {
            let identity = listener.identity
            let present = try step("list", "listeners of socket \(identity.name)") { () throws(Errno) in
                try groupMembers(identity)
            }
            if let index = orders.firstIndex(where: { $0.name == identity.name }) {
                orders[index].cookies = groupOrder(orders[index].cookies, present: present)
            } else {
                orders.append(SocketOrder(name: identity.name, cookies: present))
            }
        }
    }

    /// Where a generation's listeners of one socket stand in its group, by their slots. A missing one gives its share
    /// to the next that is there, as an empty slot does with two banks; empty if there is none.
    func places(of generation: GenerationListeners, in name: ByteString) -> [Int] {
        guard let order = orders.first(where: { $0.name == name }), generation.slots > 0 else { return [] }
        var found = [Int?](repeating: nil, count: min(generation.slots, Bank.copies))
        for row in generation.rows where row.isServed && row.slot < found.count {
            guard row.listener.identity.name == name else { continue }
            found[row.slot] = order.cookies.firstIndex(of: row.listener.identity.cookie)
        }
        guard var next = found.first(where: { $0 != nil }) ?? nil else { return [] }
        var places = [Int](repeating: next, count: found.count)
        for slot in found.indices.reversed() {
            next = found[slot] ?? next
            places[slot] = next
        }
        return places
    }

    func place(of listener: Listener) -> Int? {
        orders.first { $0.name == listener.identity.name }?.cookies.firstIndex(of: listener.identity.cookie)
    }

    /// The last place that one of these has in any group; nil if none is a member of one.
    func lastPlace(of listeners: [Listener]) -> Int? { listeners.compactMap { place(of: $0) }.max() }

    /// Copies that hold listeners, one after the other, so that it is known who moves where: from the last place to the
    /// first, as `groupOrder` assumes it of those that leave by themselves. Copies that share a listener go together,
    /// for it closes with the last of them; and so do, at the end, all that listen no more.
    func stopBatches(_ copies: [Int], of generation: GenerationListeners) -> [[Int]] {
        var waiting: [(copy: Int, place: Int)] = []
        var others: [Int] = []
        for copy in copies {
            let own = generation.rows.filter { $0.copies.contains(copy) }
            if let place = lastPlace(of: own.map { $0.listener }) {
                waiting.append((copy, place))
            } else {
                others.append(copy)
            }
        }
        waiting = waiting.ordered { $0.place > $1.place }
        var batches: [[Int]] = []
        while !waiting.isEmpty {
            var batch = [waiting.removeFirst().copy]
            let shared = generation.rows.filter { $0.copies.contains(batch[0]) }
            for other in waiting where shared.contains(where: { $0.copies.contains(other.copy) }) {
                batch.append(other.copy)
            }
            waiting.removeAll { batch.contains($0.copy) }
            batches.append(batch)
        }
        return batches + (others.isEmpty ? [] : [others])
    }
}

// MARK: - Directing

extension ByIndex {
    /// Directs every group to where the generation stands in it now, by listeners that are held.
    mutating func direct(
        to generation: GenerationListeners, _ listeners: [Listener], held: borrowing OwnedArray<Placement>
    ) throws(Failure) {
        try follow(listeners)
        for (index, listener) in listeners.enumerated() where listener.isInGroup {
            try direct(listener, held[index].source, to: generation)
        }
    }

    /// The same by a process that has no listeners: it borrows one of each socket from a copy that runs.
    mutating func direct(to generation: GenerationListeners) throws(Failure) {
        var done: [ByteString] = []
        var failed: (name: ByteString, failure: Failure)?
        for row in generation.rows where row.isServed && row.listener.isInGroup {
            let name = row.listener.identity.name
            if done.contains(name) { continue }
            do throws(Failure) {
                let borrowed = try step(
                    "borrow", "socket \(name) of copy \(row.copies[0])",
                    remedy: {
                        $0 == .notPermitted
                            ? "run it as the copy's user where ptrace(2) is allowed, or as root" : nil
                    }
                ) { () throws(Errno) in try borrowListener(row.listener.identity) }
                try follow([row.listener])
                try direct(row.listener, borrowed, to: generation)
                done.append(name)
            } catch {
                // It may have ended just now; another copy has the socket as well.
                failed = (name, error)
            }
        }
        if let failed, !done.contains(failed.name) { throw failed.failure }
    }

    private func direct(
        _ listener: Listener, _ held: borrowing Descriptor, to generation: GenerationListeners
    ) throws(Failure) {
        let identity = listener.identity
        let places = places(of: generation, in: identity.name)
        let balance = generation.balance(for: identity.transport)
        try step("direct", "socket \(identity.name)") { () throws(Errno) in
            try ReusePortKit.direct(held, to: places, balance)
        }
    }

    /// Directs the groups to the live generation as it stands now, if a member has left since that was done.
    mutating func prepareToListen(_ listeners: [Listener], live: GenerationListeners?) throws(Failure) {
        guard let live else { return }
        let known = orders
        try follow(listeners)
        if orders == known { return }
        do throws(Failure) {
            try direct(to: live)
        } catch {
            // Of copies that we may not trace nothing can be borrowed: then it is done with our own, a moment later.
        }
    }

    /// For the moment that connect(2) takes, connections from the probe's port go to the listener; clients of the live
    /// generation notice nothing.
    mutating func connect(
        _ probe: borrowing Probe, to listener: Listener, held: borrowing Descriptor, live: GenerationListeners?
    ) throws(Failure) {
        try follow([listener])
        let name = listener.identity.name
        let places = live.map { self.places(of: $0, in: name) } ?? []
        let balance = live?.balance ?? .random
        let place = place(of: listener)
        try step("connect", "a probe to socket \(name)") { () throws(Errno) in
            if let place { try ReusePortKit.direct(held, to: places, balance, probe: (probe.port, place)) }
            probe.connect()
            try ReusePortKit.direct(held, to: places, balance)
        }
    }
}

/// Directs all connections of a group to the members that stand at these places; `probe` goes to one of them only.
private func direct(
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

// MARK: - What the kernel tells

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

// MARK: - In the app's file

extension ByIndex {
    var lines: [Steering.Line] {
        orders.map { ("order", [$0.name] + $0.cookies.map { ByteString(decimal: $0) }) }
    }

    init(lines: [Steering.Line]) {
        orders = []
        for line in lines where line.key == "order" {
            orders.append(
                SocketOrder(name: line.fields[0], cookies: line.fields.dropFirst().compactMap { $0.decimal }))
        }
    }
}
