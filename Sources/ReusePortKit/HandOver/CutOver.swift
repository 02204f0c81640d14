import CLinux

extension AppState {
    /// Whether all copies of a generation are ready and alive.
    func isComplete(_ generation: GenerationRecord) -> Bool {
        let ready = running(generation.order).filter { $0.state == .ready }
        return (0..<generation.copies).allSatisfy { copy in ready.contains { $0.copy == copy } }
    }

    /// The store after which new connections go to the generation.
    mutating func cutOver(
        _ generation: GenerationRecord, _ sockets: borrowing OwnedArray<Placement>, _ balance: Balance,
        listeners: [ListenerIdentity]
    ) throws(Failure) {
        switch app.steering {
        case .twoBanks(let id, let slots)?:
            try step("cut over", "generation \(generation.label)") { () throws(Errno) in
                let maps = try AppMaps(selector: id, slots: slots)
                let before = try maps.selector.load()
                try maps.selector.store(
                    Selector(
                        liveBank: generation.bank, liveCount: UInt16(generation.copies), nextCount: before.liveCount))
            }
        case .index?:
            try redirect(to: generation.order, listeners, sockets, balance)
        case .off?, nil:
            break
        }
    }

    /// Level 2: directs every group to where the generation stands in it now.
    mutating func redirect(
        to generation: UInt64, _ listeners: [ListenerIdentity], _ sockets: borrowing OwnedArray<Placement>,
        _ balance: Balance
    ) throws(Failure) {
        try followGroups(listeners)
        for (index, listener) in listeners.enumerated() where listener.transport != .unix {
            let run = run(of: generation, in: listener.name)
            try step("direct", "socket \(listener.name)") { () throws(Errno) in
                try direct(sockets[index].source, to: run, balance, probe: nil)
            }
        }
    }

    /// Lets a copy that joined a live generation get connections.
    mutating func widen(
        _ generation: GenerationRecord, to count: Int, _ sockets: borrowing OwnedArray<Placement>, _ balance: Balance
    ) throws(Failure) {
        let copies = max(generation.copies, count)
        app.change(generation.order) { $0.copies = copies }
        switch app.steering {
        case .twoBanks(let id, let slots)?:
            try step("widen", "generation \(generation.label)") { () throws(Errno) in
                let maps = try AppMaps(selector: id, slots: slots)
                var word = try maps.selector.load()
                word.liveBank = generation.bank
                word.liveCount = max(UInt16(copies), word.liveCount)
                try maps.selector.store(word)
            }
        case .index?:
            let listeners =
                copies > 0
                ? self.copies.last { $0.generation == generation.order && $0.copy == count - 1 }?.listeners : nil
            try redirect(to: generation.order, (listeners ?? []).map { $0.identity }, sockets, balance)
        case .off?, nil:
            break
        }
    }
}
