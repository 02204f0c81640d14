import CLinux

/// A listener that shares an address with ours, and that the registry does not know.
private struct Stranger {
    var name: ByteString
    var record: SocketRecord
    var holder: SocketHolder
}

extension AppState {
    /// Finds what serves our addresses although the registry does not know it, before we listen there ourselves.
    ///
    /// Either the registry was lost: then the kernel still has the program, the maps and the bank that is live, and
    /// the generation is entered again from them, as `recovered`. Or a server that knows nothing of apps shares the
    /// address: then it is the live one as far as connections go, until we take over; it is not ours to stop.
    mutating func recover(_ listeners: [ListenerIdentity], ours: [UInt64], log: Log) {
        if app.steering == nil, copies.contains(where: { $0.state != .ended && !$0.listeners.isEmpty }) { reconnect() }
        guard app.live == nil, app.starting == nil else { return }
        let strangers = strangers(listeners, ours: ours)
        guard !strangers.isEmpty else { return }
        for found in steeringPrograms() { recover(strangers, from: found, log) }
    }

    /// Only the app's own file was lost: finds the maps in which the copies that are known stand.
    private mutating func reconnect() {
        var slots: [AppRecord.SocketSlots] = []
        for found in steeringPrograms() {
            guard let selector = try? SelectorMap.open(id: found.selector).load() else { continue }
            for bank in [Bank.first, .second] {
                for copy in copies where copy.state != .ended {
                    guard let cookie = cookie(in: Slot(bank, copy: UInt8(copy.copy)), of: found.slots),
                        let listener = copy.listeners.first(where: { $0.identity.cookie == cookie })
                    else { continue }
                    if !slots.contains(where: { $0.map == found.slots }) {
                        slots.append(AppRecord.SocketSlots(name: listener.identity.name, map: found.slots))
                    }
                    app.steering = .twoBanks(selector: found.selector, slots: slots)
                    app.change(copy.generation) { generation in
                        generation.bank = bank
                        if bank == selector.liveBank && selector.liveCount > 0 { generation.state = .live }
                    }
                }
            }
        }
    }

    private func strangers(_ listeners: [ListenerIdentity], ours: [UInt64]) -> [Stranger] {
        var result: [Stranger] = []
        for listener in listeners where listener.transport == .tcp {
            let records =
                (try? internetSockets(
                    .tcp, family: listener.address.family, states: .listening, localPort: listener.address.port)) ?? []
            let unknown = records.filter { record in
                record.address == listener.address && !ours.contains(record.cookie)
                    && !copies.contains {
                        $0.state != .ended && $0.listeners.contains { $0.identity.cookie == record.cookie }
                    }
            }
            guard !unknown.isEmpty, let holders = try? holders(ofSocketInodes: unknown.map { $0.inode }) else {
                continue
            }
            for record in unknown {
                guard let holder = holders.found.first(where: { $0.inode == record.inode }) else { continue }
                result.append(Stranger(name: listener.name, record: record, holder: holder))
            }
        }
        return result
    }

    /// Enters the generation whose listeners stand in these maps.
    private mutating func recover(_ strangers: [Stranger], from found: SteeringMaps, _ log: Log) {
        guard let selector = try? SelectorMap.open(id: found.selector).load() else { return }
        // What stands in the other bank gets no connections, and can be a server that was never ours.
        guard selector.liveCount > 0 else { return }
        var members: [(copy: Int, stranger: Stranger)] = []
        for copy in 0..<Bank.copies {
            guard let cookie = cookie(in: Slot(selector.liveBank, copy: UInt8(copy)), of: found.slots),
                let stranger = strangers.first(where: { $0.record.cookie == cookie })
            else { continue }
            members.append((copy, stranger))
        }
        if !members.isEmpty { enter(members, selector.liveBank, found, log) }
    }

    private func cookie(in slot: Slot, of map: UInt32) -> UInt64? {
        (try? SlotsMap.open(id: map).cookie(in: slot)) ?? nil
    }

    private mutating func enter(
        _ members: [(copy: Int, stranger: Stranger)], _ bank: Bank, _ found: SteeringMaps, _ log: Log
    ) {
        let known = app.generations.first { $0.bank == bank && $0.outcome == .recovered && $0.state != .ended }
        let order: UInt64
        if let known {
            order = known.order
        } else {
            app.sequence += 1
            order = app.sequence
            app.generations.append(
                GenerationRecord(
                    order: order, label: "recovered-\(order)", copies: 1, bank: bank, state: .live,
                    since: secondsSince1970(), outcome: .recovered))
            log.warning("the registry had lost a generation; it is recovered as recovered-\(order)")
        }
        var slots: [AppRecord.SocketSlots] = []
        if case .twoBanks(found.selector, let known)? = app.steering { slots = known }
        for (number, stranger) in members {
            if !slots.contains(where: { $0.name == stranger.name }) {
                slots.append(AppRecord.SocketSlots(name: stranger.name, map: found.slots))
            }
            let listener = CopyRecord.Listener(
                identity: ListenerIdentity(
                    name: stranger.name, transport: .tcp, address: stranger.record.address,
                    isDualStack: stranger.record.isIPv6Only == false, cookie: stranger.record.cookie), publicPath: nil)
            var copy =
                copies.first { $0.generation == order && $0.copy == number }
                ?? CopyRecord(
                    generation: order, copy: number, process: stranger.holder.process, helper: nil,
                    state: .live, since: secondsSince1970(), listeners: [],
                    supervisor: nil, stopSignal: SIGTERM, stopTimeout: .seconds(30), nice: nil)
            copy.listeners.append(listener)
            replace(copy)
            app.change(order) { $0.copies = max($0.copies, number + 1) }
        }
        app.steering = .twoBanks(selector: found.selector, slots: slots)
    }

    /// Makes servers that know nothing of apps the live ones of maps that are new, so that they alone get connections
    /// until a generation takes over.
    mutating func adopt(
        _ maps: borrowing AppMaps, _ listeners: [ListenerIdentity], ours: [UInt64], avoiding bank: Bank, log: Log
    ) {
        guard app.live == nil else { return }
        var count: UInt16 = 0
        for (index, stranger) in strangers(listeners, ours: ours).enumerated() where index < Bank.copies {
            let isPlaced = reason { () throws(Errno) in
                let listener = try borrowSocket(of: stranger.holder, cookie: stranger.record.cookie)
                try maps.place(listener, of: stranger.name, in: Slot(bank.other, copy: UInt8(index)))
            }
            guard isPlaced == nil else { continue }
            count = max(count, UInt16(index) + 1)
            log.warning(
                """
                pid \(stranger.holder.process.pid) (\(stranger.holder.name)) listens on socket \(stranger.name) and belongs to \
                no generation: it gets connections until this one takes over, and none after that; stop it then
                """)
        }
        if count > 0 {
            _ = reason { () throws(Errno) in try maps.selector.store(Selector(liveBank: bank.other, liveCount: count)) }
        }
    }
}
