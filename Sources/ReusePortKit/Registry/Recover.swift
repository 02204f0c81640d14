import CLinux

extension AppState {
    /// Looks for servers at these addresses that the registry does not know, before the caller listens there.
    ///
    /// If the registry was lost, the kernel still has the program, the maps and the live bank. The generation is recorded
    /// again from them, and its label returned. Otherwise the server belongs to no app: it gets connections until this
    /// app takes over, and is never stopped. `joining` are the cookies of listeners that are about to join, of this copy
    /// and of others.
    mutating func recover(_ listeners: [Listener], joining: [UInt64]) -> [ByteString] {
        if app.steering == nil, copies.contains(where: { $0.state != .ended && !$0.listeners.isEmpty }) {
            recoverSteering()
        }
        guard app.live == nil, app.starting == nil else { return [] }
        let unknown = findForeignListeners(at: listeners, except: knownCookies(and: []) + joining)
        guard !unknown.isEmpty else { return [] }
        var recovered: [ByteString] = []
        for found in findSteering() {
            if let label = recover(unknown, from: found) { recovered.append(label) }
        }
        return recovered
    }

    /// Finds the maps that hold the known copies, after only the app's own file was lost.
    private mutating func recoverSteering() {
        for found in findSteering() {
            for bank in [Bank.first, .second] {
                for member in found.members(of: bank) {
                    for copy in copies where copy.state != .ended {
                        guard let listener = copy.listeners.first(where: { $0.identity.cookie == member.cookie }) else {
                            continue
                        }
                        app.steering = .including(found, [listener.identity.name], in: app.steering)
                        app.change(copy.generation) { generation in
                            generation.bank = bank
                            if found.isLive(bank) { generation.state = .live }
                        }
                    }
                }
            }
        }
    }

    /// Records the generation whose listeners are in the live bank of these maps, if there are any. Returns its label if
    /// it was not recorded before.
    private mutating func recover(_ unknown: [ForeignListener], from found: FoundSteering) -> ByteString? {
        let bank = found.selector.liveBank
        guard found.isLive(bank) else { return nil }
        let members = found.members(of: bank).compactMap { member in
            unknown.first { $0.record.cookie == member.cookie }.map { (copy: member.slot, listener: $0) }
        }
        if members.isEmpty { return nil }
        var label: ByteString?
        let id: UInt64
        if let known = app.generations.first(where: {
            $0.bank == bank && $0.outcome == .recovered && $0.state != .ended
        }) {
            id = known.id
        } else {
            app.lastID += 1
            id = app.lastID
            label = "recovered-\(id)"
            app.generations.append(
                GenerationRecord(
                    id: id, label: "recovered-\(id)", copies: 1, bank: bank, state: .live,
                    since: secondsSince1970(), outcome: .recovered))
        }
        for (number, one) in members {
            let identity = ListenerIdentity(
                name: one.name, transport: .tcp, address: one.record.address,
                isDualStack: one.record.isIPv6Only == false, cookie: one.record.cookie)
            var copy =
                copies.first { $0.generation == id && $0.copy == number }
                ?? CopyRecord(
                    generation: id, copy: number, process: one.holder.process, helper: nil, state: .live,
                    since: secondsSince1970(), listeners: [], supervisor: nil, stopSignal: SIGTERM,
                    stopTimeout: .seconds(30), nice: nil)
            copy.listeners.append(Listener(identity: identity, publicPath: nil))
            replace(copy)
            app.change(id) { $0.copies = max($0.copies, number + 1) }
        }
        app.steering = .including(found, members.map { $0.listener.name }, in: app.steering)
        return label
    }
}
