import CLinux

extension AppState {
    /// Whether all copies of a generation are ready and alive.
    func isComplete(_ generation: GenerationRecord) -> Bool {
        let ready = running(generation.order).filter { $0.state == .ready }
        return (0..<generation.copies).allSatisfy { copy in ready.contains { $0.copy == copy } }
    }

    /// The store after which new connections go to the generation.
    mutating func cutOver(
        _ generation: GenerationRecord, _ sockets: borrowing OwnedArray<Placement>, listeners: [ListenerIdentity]
    ) throws(Failure) {
        switch app.steering {
        case .twoBanks(let id, let slots)?:
            let maps = try openMaps(id, slots, "cut over", generation)
            // The copies that are about to go were kept as they were until now. The first generation has brought its
            // own.
            if app.generations.count > 1 && app.live?.balance != generation.balance {
                try maps.attach(to: listeners, sockets, generation.balance ?? .random)
            }
            try step("cut over", "generation \(generation.label)") { () throws(Errno) in
                let before = try maps.selector.load()
                try maps.selector.store(
                    Selector(
                        liveBank: generation.bank, liveCount: UInt16(generation.copies), nextCount: before.liveCount))
            }
        case .index?:
            try redirect(to: generation.order, listeners, sockets)
        case .off?, nil:
            break
        }
    }

    /// Level 2: directs every group to where the generation stands in it now.
    mutating func redirect(
        to generation: UInt64, _ listeners: [ListenerIdentity], _ sockets: borrowing OwnedArray<Placement>
    ) throws(Failure) {
        try followGroups(listeners)
        for (index, listener) in listeners.enumerated() where listener.transport != .unix {
            try redirect(listener, sockets[index].source, to: generation)
        }
    }

    /// The same by a process that has no listeners: it borrows one of each socket from a copy that runs.
    mutating func redirect(to generation: UInt64) throws(Failure) {
        guard case .index? = app.steering else { return }
        var done: [ByteString] = []
        var failed: (name: ByteString, failure: Failure)?
        for copy in running(generation) where copy.state == .ready || copy.state == .live {
            for listener in copy.listeners.map({ $0.identity })
            where listener.transport != .unix && !done.contains(listener.name) {
                do throws(Failure) {
                    let borrowed = try step(
                        "borrow", "socket \(listener.name) of pid \(copy.process.pid)",
                        remedy: {
                            $0 == .notPermitted
                                ? "run it as the copy's user where ptrace(2) is allowed, or as root" : nil
                        }
                    ) { () throws(Errno) in
                        try borrowListener(of: copy, named: listener.name)
                    }
                    try followGroups([listener])
                    try redirect(listener, borrowed, to: generation)
                    done.append(listener.name)
                } catch {
                    // It may have ended just now; another copy has the socket as well.
                    failed = (listener.name, error)
                }
            }
        }
        if let failed, !done.contains(failed.name) { throw failed.failure }
    }

    private func redirect(
        _ listener: ListenerIdentity, _ held: borrowing Descriptor, to generation: UInt64
    ) throws(Failure) {
        let balance = (app.generation(generation)?.balance ?? .random).forTransport(listener.transport)
        let places = places(of: generation, in: listener.name)
        try step("direct", "socket \(listener.name)") { () throws(Errno) in try direct(held, to: places, balance) }
    }

    /// Lets a copy that joined a live generation get connections.
    mutating func widen(
        _ generation: GenerationRecord, by copy: CopyRecord, _ sockets: borrowing OwnedArray<Placement>
    ) throws(Failure) {
        let copies = max(generation.copies, copy.copy + 1)
        app.change(generation.order) { $0.copies = copies }
        switch app.steering {
        case .twoBanks(let id, let slots)?:
            let maps = try openMaps(id, slots, "widen", generation)
            try step("widen", "generation \(generation.label)") { () throws(Errno) in
                var word = try maps.selector.load()
                word.liveBank = generation.bank
                word.liveCount = max(UInt16(copies), word.liveCount)
                try maps.selector.store(word)
            }
        case .index?:
            try redirect(to: generation.order, copy.listeners.map { $0.identity }, sockets)
        case .off?, nil:
            break
        }
    }

    /// From now on the copies of the live generation whose number is `count` or more get no new connection. What they
    /// have in their queues is theirs. Needs no listener of one's own.
    mutating func narrow(_ generation: GenerationRecord, to count: Int) throws(Failure) {
        app.change(generation.order) { $0.copies = count }
        switch app.steering {
        case .twoBanks(let id, let slots)?:
            let maps = try openMaps(id, slots, "narrow", generation)
            try step("narrow", "generation \(generation.label)") { () throws(Errno) in
                var word = try maps.selector.load()
                guard word.liveBank == generation.bank else { throw .invalid }
                word.liveCount = UInt16(count)
                try maps.selector.store(word)
            }
        case .index?:
            try redirect(to: generation.order)
        case .off?, nil:
            break
        }
    }

    private func openMaps(
        _ id: UInt32, _ slots: [AppRecord.SocketSlots], _ verb: ByteString, _ generation: GenerationRecord
    ) throws(Failure) -> AppMaps {
        try step(verb, "generation \(generation.label)") { () throws(Errno) in
            try AppMaps(selector: id, slots: slots)
        }
    }
}
