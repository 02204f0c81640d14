import CLinux

extension AppState {
    /// Looks for servers at these addresses that the registry does not know, before the caller listens there.
    ///
    /// If the registry was lost, the kernel still has the program, the maps and the live bank. The generation is recorded
    /// again from them, and its label returned. Otherwise the server belongs to no app: it gets connections until this
    /// app takes over, and is never stopped. `joining` are the cookies of listeners that are about to join, of this copy
    /// and of others.
    func recover(
        _ listeners: [Listener], joining: [UInt64], in registry: Registry
    ) -> [ByteString] {
        if app.steering == nil, copies.contains(where: { $0.state != .ended && !$0.listeners.isEmpty }) {
            recoverSteering()
        }
        guard app.live == nil, app.starting == nil else { return [] }
        let unknown = findForeignListeners(at: listeners, except: knownCookies(and: []) + joining)
        var recovered: [ByteString] = []
        if !unknown.isEmpty {
            for found in findSteering() {
                if let label = recover(unknown, from: found) { recovered.append(label) }
            }
        }
        if writtenApp == nil { recoverGroups(registry, unknown) }
        return recovered
    }

    /// Records what is left in the app's control groups and belongs to no copy that is known, so that it is ended as old
    /// generations are: what listens when the next one has taken over, what finishes by `--keep-retired`.
    ///
    /// What listens becomes one generation. Of those that were there, the oldest has served: each ends what has failed
    /// before it takes over. So it serves until then, and the others, which may accept nothing, get no connections.
    private func recoverGroups(
        _ registry: Registry, _ unknown: [ForeignListener], _ groups: ControlGroups = ControlGroups()
    ) {
        guard let hierarchy = try? groups.hierarchy(limits: false), let name = try? groupName(of: registry) else {
            return
        }
        let place = ControlGroup(version: hierarchy.version, path: "\(hierarchy.mount)\(hierarchy.own)/\(name)")
        guard let above = try? GroupDirectory(place, in: groups) else { return }
        let holders = (try? holders(ofSocketInodes: unknown.map { $0.record.inode }))?.found ?? []
        let left = entryNames(of: above.directory).filter { isCopyGroupName($0) }.map { name in
            let group = ControlGroup(version: place.version, path: "\(place.path)/\(name)")
            return (group: group, members: processes(of: group, groups))
        }
        var oldest: [ByteString]?
        for (group, members) in left.ordered(by: { age($0.members) < age($1.members) }) {
            guard let first = members.first, !members.contains(where: { $0.pid == getpid() }) else { continue }
            let recorded = CopyGroup(group: group, max: nil, appMax: nil, isLimited: false)
            // Without processes it may be another user's, who had a registry with the same inode.
            app.group = place
            if let index = copies.firstIndex(where: { members.contains($0.process) }) {
                copies[index].group = recorded
                continue
            }
            let inodes = holders.filter { members.contains($0.process) }.map { $0.inode }
            let listeners = unknown.filter { inodes.contains($0.record.inode) }.map { Listener(recovering: $0) }
            var state = CopyRecord.State.retired
            if !listeners.isEmpty {
                // The names end with the numbers of the copy and the process.
                let name = Array(group.path.split(on: UInt8(ascii: ".")).dropLast(2))
                oldest = oldest ?? name
                state = app.live == nil && name == oldest ? .live : .stopping
            }
            let id = recovered(listeners.isEmpty ? .retired : .retiring)
            let copy = CopyRecord(
                generation: id, copy: copies(of: id).count, process: first, helper: nil, state: state,
                since: secondsSince1970(), listeners: listeners, supervisor: nil, stopSignal: SIGTERM,
                stopTimeout: .seconds(30), nice: nil)
            copy.group = recorded
            replace(copy)
            app.change(id) { $0.copies = copy.copy + 1 }
        }
    }

    /// The generation of what is found in this state.
    private func recovered(_ state: GenerationRecord.State, _ bank: Bank = .first) -> UInt64 {
        if let known = app.generations.first(where: { $0.state == state && $0.outcome == .recovered }) {
            return known.id
        }
        app.lastID += 1
        app.generations.append(
            GenerationRecord(
                id: app.lastID, label: "recovered-\(app.lastID)", copies: 1, bank: bank, state: state,
                since: secondsSince1970(), outcome: .recovered))
        return app.lastID
    }

    /// Finds the maps that hold the known copies, after only the app's own file was lost.
    private func recoverSteering() {
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
    private func recover(_ unknown: [ForeignListener], from found: FoundSteering) -> ByteString? {
        let bank = found.selector.liveBank
        guard found.isLive(bank) else { return nil }
        let members = found.members(of: bank).compactMap { member in
            unknown.first { $0.record.cookie == member.cookie }.map { (copy: member.slot, listener: $0) }
        }
        if members.isEmpty { return nil }
        let count = app.generations.count
        let id = recovered(.live, bank)
        for (number, one) in members {
            let copy =
                copies.first { $0.generation == id && $0.copy == number }
                ?? CopyRecord(
                    generation: id, copy: number, process: one.holder.process, helper: nil, state: .live,
                    since: secondsSince1970(), listeners: [], supervisor: nil, stopSignal: SIGTERM,
                    stopTimeout: .seconds(30), nice: nil)
            copy.listeners.append(Listener(recovering: one))
            replace(copy)
            app.change(id) { $0.copies = max($0.copies, number + 1) }
        }
        app.steering = .including(found, members.map { $0.listener.name }, in: app.steering)
        return app.generations.count > count ? app.generations[count].label : nil
    }
}

/// When the first process of a group was started.
private func age(_ members: [ProcessIdentity]) -> UInt64 { members.map { $0.startTime }.min() ?? 0 }

extension Listener {
    /// A listener that no record names.
    fileprivate init(recovering one: ForeignListener) {
        let identity = ListenerIdentity(
            name: one.name, transport: .tcp, address: one.record.address,
            isDualStack: one.record.isIPv6Only == false, cookie: one.record.cookie)
        self.init(identity: identity, publicPath: nil)
    }
}
