import CLinux

/// Steering by classic BPF, which needs no privilege: the program of each group picks members by their places in it.
///
/// The kernel assigns places: members stand in the order of their listen(2), and the last one moves into the place of
/// one that leaves. So the order is recorded and brought up to date after each change, and the program is made anew.
/// Connections that wait at a listener when it closes are reset.
struct ByIndex: Sendable, Equatable {
    struct SocketOrder: Sendable, Equatable {
        var name: ByteString
        /// The cookies of the members of its group, by their places.
        var cookies: [UInt64]
    }

    var orders: [SocketOrder] = []
}

// MARK: - Places

extension ByIndex {
    /// Brings the orders of these listeners' groups up to date.
    mutating func follow(_ listeners: [Listener]) throws(Failure) {
        for listener in listeners where listener.isInGroup {
            let identity = listener.identity
            let members = try step("list", "listeners of socket \(identity.name)") { () throws(Errno) in
                try groupMembers(identity)
            }
            let index = orders.firstIndex { $0.name == identity.name } ?? orders.count
            if index == orders.count { orders.append(SocketOrder(name: identity.name, cookies: [])) }
            let recorded = orders[index].cookies
            let present = cookies(ofGroupOf: members, recorded)
            let order = groupOrder(recorded, present: present)
            orders[index].cookies =
                (isDoubtful(recorded, present: present) ? try? provenOrder(of: identity, order) : nil) ?? order
        }
    }

    /// Whether one of the recorded members of these listeners' groups has left. False if that cannot be seen.
    func lackMembers(_ listeners: [Listener]) -> Bool {
        for order in orders {
            guard let identity = listeners.first(where: { $0.isInGroup && $0.identity.name == order.name })?.identity,
                let members = try? groupMembers(identity)
            else { continue }
            for cookie in order.cookies where !members.contains(where: { $0.cookie == cookie }) { return true }
        }
        return false
    }

    /// The places of a generation's listeners in a socket's group, by their slots. The share of a missing listener goes
    /// to the next that is there, as it does with two banks. Empty if none is there.
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

    /// The last place that one of these has in any group; nil if none is in a group.
    func lastPlace(of listeners: [Listener]) -> Int? { listeners.compactMap { place(of: $0) }.max() }

    /// Orders copies for stopping one batch after the other, from the last place to the first, so that it is known
    /// which member moves where; `groupOrder` assumes this order. The last members of the groups form one batch,
    /// because nobody moves when they leave. All others form batches of their own: if two left in an order that is not
    /// known, it would not be known who has moved to which of their places. Copies that share a listener form one
    /// batch, because it closes with the last of them. Copies that no longer listen form the last batch.
    ///
    /// Listeners of copies that have crashed go first: nobody accepts what the kernel's hash sends there while others
    /// leave.
    func stopBatches(_ copies: [Int], of generation: GenerationListeners) -> [[Int]] {
        var waiting: [(copy: Int, place: Int)] = []
        var others: [Int] = []
        for copy in copies {
            let own = generation.rows.filter { $0.copies.contains(copy) }
            if let place = lastPlace(of: own.map { $0.listener }) {
                waiting.append((copy, own.contains { $0.isServed } ? place : place + Int(UInt16.max)))
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
            if batches.count == 1, areLast(batches[0] + batch, of: generation) {
                batches[0] += batch
            } else {
                batches.append(batch)
            }
        }
        return batches + (others.isEmpty ? [] : [others])
    }
}

extension ByIndex {
    /// Whether nobody stands behind these copies in any group.
    private func areLast(_ copies: [Int], of generation: GenerationListeners) -> Bool {
        let leaving = generation.rows.filter { $0.copies.allSatisfy { copies.contains($0) } }.map {
            $0.listener.identity.cookie
        }
        return orders.allSatisfy { order in
            let count = order.cookies.count { leaving.contains($0) }
            return order.cookies.suffix(count).allSatisfy { leaving.contains($0) }
        }
    }
}

// MARK: - Directing

extension ByIndex {
    /// Directs every group to the present places of a generation, through listeners that the caller holds.
    @inline(never)
    mutating func direct(
        to generation: GenerationListeners, _ listeners: [Listener], held: borrowing OwnedArray<Placement>
    ) throws(Failure) {
        try follow(listeners)
        for (index, listener) in listeners.enumerated() where listener.isInGroup {
            try direct(listener, held[index].source, to: generation)
        }
    }

    /// Directs every group to the present places of a generation, through listeners borrowed from running copies, or new
    /// ones where borrowing is not allowed.
    mutating func direct(to generation: GenerationListeners) throws(Failure) {
        var done: [ByteString] = []
        var failed: (name: ByteString, failure: Failure)?
        // One for all copies: others may wait for the locks that are held meanwhile.
        let deadline = borrowingDeadline()
        for row in generation.rows where row.isServed && row.listener.isInGroup {
            let name = row.listener.identity.name
            if done.contains(name) { continue }
            do throws(Failure) {
                try follow([row.listener])
                let places = places(of: generation, in: name)
                let balance = generation.balance(for: row.listener.identity.transport)
                try step(
                    "borrow", "socket \(name) of copy \(row.copies[0])",
                    remedy: { $0 == .notPermitted ? "run it as who deployed it, or as root" : nil }
                ) { () throws(Errno) in
                    try withMember(ofGroupOf: row.listener.identity, first: row.process, until: deadline) {
                        (held) throws(Errno) in
                        try ReusePortKit.direct(held, to: places, balance)
                    }
                }
                done.append(name)
            } catch {
                // The copy may have ended just now; the next one has the socket as well.
                failed = (name, error)
            }
        }
        if let failed, !done.contains(failed.name) { throw failed.failure }
    }

    @inline(never)
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

    /// Directs the groups to the live generation's present places, if a member has left since these were recorded.
    mutating func prepareToListen(_ listeners: [Listener], live: GenerationListeners?) throws(Failure) {
        guard let live else { return }
        let known = orders
        try follow(listeners)
        if orders == known { return }
        do throws(Failure) {
            try direct(to: live)
        } catch {
            // We may not borrow from these copies. Our own listeners direct the groups as soon as they have joined.
        }
    }

    /// Connects a probe to a listener: until connect(2) returns, connections from the probe's port go there, while all
    /// others go to the live generation as before.
    mutating func connect(
        _ probe: inout Probe, to listener: Listener, held: borrowing Descriptor, live: GenerationListeners?
    ) throws(Failure) {
        try follow([listener])
        let name = listener.identity.name
        let places = live.map { self.places(of: $0, in: name) } ?? []
        let balance = live?.balance ?? .random
        let place = place(of: listener)
        try step("connect", "a probe to socket \(name)") { () throws(Errno) in
            guard let place else { throw .noEntry }
            try ReusePortKit.direct(held, to: places, balance, probe: (probe.port, place))
            probe.connect()
            try ReusePortKit.direct(held, to: places, balance)
        }
    }
}

/// Directs a group's connections to the members at these places, and those from the probe's port to its place. Without
/// any places the kernel chooses among all members.
@inline(never)
private func direct(
    _ listener: borrowing Descriptor, to places: [Int], _ balance: Balance, probe: (port: UInt16, place: Int)? = nil
) throws(Errno) {
    if let program = IndexProgram(places: places, balance: balance) {
        try program.attach(to: listener, probe: probe)
    } else if let probe, let program = IndexProgram(places: [probe.place], balance: balance) {
        try program.attach(to: listener)
    } else {
        try detachSteering(from: listener)
    }
}

// MARK: - Members of a group

/// The listeners that share an address, oldest first.
func groupMembers(_ listener: ListenerIdentity) throws(Errno) -> [SocketRecord] {
    let records = try sockets(of: listener.transport, family: listener.address.family, on: listener.address.port)
    return oldestFirst(records).filter { $0.address == listener.address }
}

/// The cookies of those that are in one group with the youngest, by what is recorded of it. A hidden listener stays in
/// its group, but a new one does not find it: where all others have gone, new ones found a group of their own.
func cookies(ofGroupOf members: [SocketRecord], _ recorded: [UInt64]) -> [UInt64] {
    let isNew = !members.contains { !$0.isHidden && recorded.contains($0.cookie) }
    let inGroup = members.filter { one in
        !one.isHidden || recorded.isEmpty || !isNew && recorded.contains(one.cookie)
    }
    return inGroup.map { $0.cookie }
}

/// The sockets that listen on a port, or with UDP are bound to it.
@inline(never)
func sockets(of transport: Transport, family: Int32? = nil, on port: UInt16?) throws(Errno) -> [SocketRecord] {
    let isUDP = transport == .udp
    return try internetSockets(
        isUDP ? .udp : .tcp, family: family, states: isUDP ? .bound : .listening, localPort: port)
}

/// Whether the order of a reuseport group depends on the order in which members have left or joined, which is not known.
private func isDoubtful(_ recorded: [UInt64], present: [UInt64]) -> Bool {
    let left = recorded.indices.filter { !present.contains(recorded[$0]) }
    return present.count > 1 && (recorded.isEmpty || left.count > 1 && left[0] < recorded.count - left.count)
}

/// Finds out the order of a reuseport group by a new member; nil if it does not show.
///
/// Asked who would get a connection from an address, the kernel names a member by a hash: the place is the hash times
/// the number of members, divided by 2³². So with one member more an address finds the same one, or the one at the next
/// place.
private func provenOrder(of identity: ListenerIdentity, _ members: [UInt64]) throws(Errno) -> [UInt64]? {
    func ask() throws(Errno) -> [UInt64] {
        var found: [UInt64] = []
        // The first two members are told apart by one address of count * (count + 1).
        for port in 1...UInt16(8 * members.count * (members.count + 1)) {
            let client = loopback(identity.address.family).with(port: port)
            found.append(try connection(from: identity.address, to: client, interface: 0)?.cookie ?? 0)
        }
        return found
    }
    // With more members it would take too long.
    if identity.transport == .udp || members.count > 24 { return nil }
    // The listener itself may have gone, and a new member does not find a hidden one.
    var present = identity
    guard let visible = try groupMembers(identity).first(where: { !$0.isHidden }) else { return nil }
    present.cookie = visible.cookie
    let before = try ask()
    var order: [UInt64] = []
    try withNewMember(ofGroupOf: present) { (socket) throws(Errno) in
        let last = try socketCookie(of: socket)
        let after = try ask()
        order = [last]
        while order.count <= members.count {
            guard let found = after.indices.first(where: { after[$0] == order[0] && before[$0] != order[0] }),
                members.contains(before[found]), !order.contains(before[found])
            else { throw .noEntry }
            order.insert(before[found], at: 0)
        }
        // Nobody may have left meanwhile.
        let now = try groupMembers(identity).map { $0.cookie }
        if order.contains(where: { !now.contains($0) }) { throw .busy }
        order.removeLast()
    }
    return order
}

/// The order of a reuseport group after members have left and joined.
///
/// The kernel moves the last member into the place of one that leaves, and appends those that join. If several have
/// left, it is not known in which order; this assumes the order in which copies are stopped, from the last place to the
/// first.
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
        self.init()
        for line in lines where line.key == "order" && !line.fields.isEmpty {
            orders.append(
                SocketOrder(name: line.fields[0], cookies: line.fields.dropFirst().compactMap { $0.decimal }))
        }
    }
}
