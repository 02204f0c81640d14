import CLinux

/// Carries out one handoff over its members, from when they are registered:
/// ready (AwaitReady) → enter (EnterGeneration) → retire (Retire) → end (EndCopies), or GiveUp. Between entering and
/// retiring `--watch` may lead back (WatchNew).
///
/// The launcher's helper coordinates one member, `deploy` and `scale` all that they have started. Members of a
/// generation that is live already join it, each for itself; those of a new one take over together. Several helpers
/// can coordinate one generation, a copy each; the one whose copy is ready last cuts over.
///
/// It can be killed at any moment: before the cutover the next invocation ends what it has started, afterwards the
/// generation serves and the next invocation ends the old one.
final class Coordinator {
    enum Role {
        /// A process that the launcher forks beside its copy. It is named in the registry, and others wait for it.
        case helper
        /// The command that started the copies: `deploy` or `scale`.
        case command
    }

    let role: Role
    let registry: Registry
    let request: AppRequest
    let generation: GenerationRecord
    /// The number of the first member's start, among all starts of this app's copies.
    let firstStart: UInt64
    let members: OwnedArray<Member>
    /// Signals to the command, and ends of its copies; nil in a helper.
    let interruptions: Interruptions?
    /// Whether a copy's reason has a hint.
    var hasHint = false
    let report: Reporter

    init(
        _ role: Role, _ registry: Registry, _ request: AppRequest, _ generation: GenerationRecord, firstStart: UInt64,
        _ members: consuming OwnedArray<Member>, _ interruptions: consuming Interruptions?, _ report: Reporter
    ) {
        self.role = role
        self.registry = registry
        self.request = request
        self.generation = generation
        self.firstStart = firstStart
        self.members = members
        self.interruptions = interruptions
        self.report = report
    }

    /// Returns when the members serve and the generation that they replace is retired. Those that fail are ended, and
    /// the live generation serves on.
    func run() throws(HandoffFailure) {
        report(.coordinating)
        for index in 0..<members.count { show(index, .starting) }
        let probes = Probes()
        if generation.state == .live { return try join(probes) }
        let entry: Entry
        // What is left of crashed copies gets no connections while the new ones start, and successors are known.
        _ = registry.settled()
        do throws(StepFailure) {
            try handoffStep { () throws(Failure) in try endFailedGenerations() }
            let deadline = Deadline(after: request.readyTimeout)
            try handoffStep { () throws(Failure) in try connectProbes(probes) }
            for index in 0..<members.count { try awaitReady(index, probes, until: deadline) }
            if request.isSuspended { try handoffStep { () throws(Failure) in try widenBacklogs() } }
            entry = try enter(0..<members.count)
        } catch {
            throw giveUp(error)
        }
        try takeOver(entry)
    }

    /// Completes the handoff when the members have entered their generation.
    private func takeOver(_ entry: Entry) throws(HandoffFailure) {
        if case .cutOver(let old?) = entry, request.watch.count > 0, !request.isSuspended, !old.isSuspended {
            // They are probed until then, and must not be kept open when a copy has ended.
            for index in 0..<members.count { members[index].releaseListenersAtEnd() }
            for index in 0..<members.count { show(index, .serving) }
            tellSupervisor()
            try watchNew(beside: old)
            for index in 1..<max(1, members.count) { members[index].releaseListeners() }
            release(0)
            retireOthers(old)
            recordEnd(entry)
            try confirmServing(after: old)
            return succeed(joined: false)
        }
        // The first member's listeners may still be needed, to redirect the groups while the old copies leave.
        for index in 1..<max(1, members.count) { members[index].releaseListeners() }
        release(0)
        switch entry {
        case .waiting:
            do throws(StepFailure) { try awaitSiblings() } catch { throw giveUp(error) }
            tellSupervisor()
        case .joined:
            // The generation has become live since this handoff began.
            tellSupervisor()
        case .cutOver(let old):
            for index in 0..<members.count { show(index, .serving) }
            tellSupervisor()
            retireOthers(old)
            if let old { try confirmServing(after: old) }
        }
        recordEnd(entry)
        succeed(joined: false)
    }

    /// Members of a live generation take their places one by one, and fail one by one.
    private func join(_ probes: Probes) throws(HandoffFailure) {
        let deadline = Deadline(after: request.readyTimeout)
        // If a probe cannot be connected, each member fails for this reason.
        var obstacle: StepFailure?
        do throws(StepFailure) {
            try handoffStep { () throws(Failure) in try connectProbes(probes) }
        } catch {
            obstacle = error
        }
        var failures: [GenerationOutcome] = []
        var interruption: Int32?
        for index in 0..<members.count {
            do throws(StepFailure) {
                if let obstacle { throw obstacle }
                if let interruption { throw .member(index, EndReason(.interrupted(interruption))) }
                try awaitReady(index, probes, until: deadline)
                _ = try enter(index..<(index + 1))
                show(index, .serving)
                release(index)
            } catch {
                interruption = interruption ?? receivedSignal()
                let why = interruption.map { EndReason(.interrupted($0)) } ?? reason(of: index, error)
                let failure = GenerationOutcome.failed(copy: members[index].record.copy, why)
                failures.append(failure)
                show(index, .failed(why))
                members[index].giveUpListeners()
                withdraw(index..<(index + 1), failure, [failure])
            }
        }
        if failures.isEmpty {
            tellSupervisor()
            recordEnd(.joined)
            return succeed(joined: true)
        }
        throw HandoffFailure(
            app: request.name, label: generation.label, outcomes: failures, joined: true,
            served: AppState.reconciled(registry).presence)
    }

    private func succeed(joined: Bool) {
        report(
            .served(
                HandoffResult(
                    label: generation.label, copies: members.count, joined: joined, isSuspended: request.isSuspended)))
        report(.over)
    }
}

extension Coordinator {
    func show(_ index: Int, _ progress: CopyProgress) {
        report(.copy(members[index].record.copy, pid: members[index].pid, progress))
    }

    /// The signal that has come to the command, if one has.
    func receivedSignal() -> Int32? {
        switch interruptions {
        case .some(let interruptions): interruptions.received()
        case .none: nil
        }
    }

    /// Closes the coordinator's descriptors of a member's listeners. Steering may need one of them to direct the groups
    /// until the old copies have gone; then they stay open until the copy ends.
    private func release(_ index: Int) {
        guard AppState(readingAppOf: registry).needsHeldListeners else { return members[index].releaseListeners() }
        members[index].releaseListenersAtEnd()
    }

    /// Makes room for as many waiting connections as the system allows, because suspended copies accept none.
    private func widenBacklogs() throws(Failure) {
        var room = 0
        for index in 0..<members.count {
            for which in 0..<members[index].copy.sockets.count {
                room += try widenBacklog(
                    members[index].copy.sockets[which].source, of: members[index].record.listeners[which])
            }
        }
        report(.room(room))
    }

    /// Writes down that the coordinator is done, and sets the app's memory limit to what this generation asks for.
    private func recordEnd(_ entry: Entry) {
        // Helpers that only waited write nothing: their siblings would wait for each of the writes, and can see that a
        // helper has gone.
        let isLimited = members[0].record.group?.isLimited == true
        if case .waiting = entry, !isLimited { return }
        // A command's name was removed from the records when its members became ready, so only a limit is left to set.
        if role == .command, !isLimited { return }
        do throws(Failure) {
            let problem = try registry.change { state -> Errno? in
                for index in 0..<members.count {
                    guard let record = state.known(members[index].record) else { continue }
                    record.helper = nil
                    state.replace(record)
                }
                return state.settleAppLimit(members[0].record)
            }
            if let problem { report(.appLimitNotSet(problem)) }
        } catch {
            // The generation serves by now, and is not stopped because this could not be recorded.
            report(.problem(error))
        }
    }
}

/// Probes that were connected before their members are waited for. A class, because functions that only borrow the
/// coordinator hand it on, and take probes out.
final class Probes {
    private var probes = OwnedArray<Descriptor>()
    private var places: [(member: Int, listener: Int)] = []

    func add(_ probe: consuming Descriptor, member: Int, listener: Int) {
        probes.append(probe)
        places.append((member, listener))
    }

    /// Takes out the probe for a listener of a member; nil if there was none, or it was taken before.
    func take(member: Int, listener: Int) -> Descriptor? {
        guard let index = places.firstIndex(where: { $0.member == member && $0.listener == listener }) else {
            return nil
        }
        places.remove(at: index)
        return probes.remove(at: index)
    }
}
