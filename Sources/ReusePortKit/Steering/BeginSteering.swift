extension AppState {
    /// Makes sure that the groups of these listeners are steered.
    mutating func steer(
        _ request: AppRequest, _ order: UInt64, _ sockets: borrowing OwnedArray<Placement>,
        _ listeners: [ListenerIdentity], _ log: Log
    ) throws(Failure) {
        guard listeners.contains(where: { $0.transport != .unix }) else {
            // Unix sockets are handed over by rename(2) and need no steering.
            if app.steering == nil { app.steering = .off }
            return
        }
        let inUse = app.steering.map { $0.name }
        if let inUse, request.steering != .automatic, inUse != request.steering.name, isSteeredAlready {
            throw Failure(
                .usage, "steer", "app \(request.name) by \(request.steering.name)",
                "its running copies are steered by \(inUse)",
                remedy: "stop them first, or leave --steering out")
        }
        if !isSteeredAlready { app.steering = nil }
        // The live generation keeps its own until it is replaced.
        let balance = app.live?.balance ?? app.generation(order)?.balance ?? .random
        switch app.steering {
        case .index?:
            try followGroups(listeners)
            // Where a copy has died, its place is another's now, and ours could be one that gets connections.
            if let live = app.live { try redirect(to: live.order, listeners, sockets) }
        case .off?:
            break
        case .twoBanks(let id, let slots)?:
            var maps = try step("open", "the maps of app \(request.name)") { () throws(Errno) in
                try AppMaps(selector: id, slots: slots)
            }
            try attach(&maps, balance, sockets, listeners)
        case nil:
            try beginSteering(request, balance, sockets, listeners, log)
        }
    }

    /// Whether a running copy depends on the level that is in use.
    private var isSteeredAlready: Bool {
        app.steering != nil && copies.contains { $0.state != .ended }
    }

    /// Chooses the level.
    private mutating func beginSteering(
        _ request: AppRequest, _ balance: Balance, _ sockets: borrowing OwnedArray<Placement>,
        _ listeners: [ListenerIdentity], _ log: Log
    ) throws(Failure) {
        switch request.steering {
        case .off:
            app.steering = .off
        case .cbpf:
            app.steering = .index([])
            try followGroups(listeners)
        case .ebpf:
            var maps = try step(
                "make", "the maps of app \(request.name)",
                remedy: { $0 == .notPermitted ? "it takes root, or --steering cbpf" : nil }
            ) {
                () throws(Errno) in try AppMaps()
            }
            try attach(&maps, balance, sockets, listeners, adopting: log)
        case .automatic:
            do throws(Errno) {
                var maps = try AppMaps()
                do throws(Failure) {
                    try attach(&maps, balance, sockets, listeners, adopting: log)
                    return
                } catch {
                    log.detail("\(error.message); level 2 then")
                }
            } catch {
                // No privilege, or no such maps in this kernel: then level 2, which needs nothing.
            }
            app.steering = .index([])
            try followGroups(listeners)
        }
    }

    private mutating func attach(
        _ maps: inout AppMaps, _ balance: Balance, _ sockets: borrowing OwnedArray<Placement>,
        _ listeners: [ListenerIdentity], adopting log: Log? = nil
    ) throws(Failure) {
        for listener in listeners where listener.transport != .unix {
            try step("make", "the slots of socket \(listener.name)") { () throws(Errno) in try maps.add(listener.name) }
        }
        if let log, let bank = app.starting?.bank {
            adopt(maps, listeners, ours: listeners.map { $0.cookie }, avoiding: bank, log: log)
        }
        try maps.attach(to: listeners, sockets, balance)
        app.steering = maps.steering
    }
}
