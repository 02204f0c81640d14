import CLinux

/// A generation, or copies that join one, on its way.
struct Deploy: ~Copyable {
    private let members: OwnedArray<Member>
    private let generation: GenerationRecord
    private let interruptions: Interruptions
    private let log: Log
    private let handoff: Handoff
    private let deadline: Deadline

    init(
        _ members: consuming OwnedArray<Member>, _ generation: GenerationRecord,
        _ interruptions: consuming Interruptions, _ log: Log
    ) {
        handoff = Handoff(members[0].enrolment, title: ProcessTitle())
        deadline = Deadline(after: members[0].enrolment.request.readyTimeout)
        self.members = members
        self.generation = generation
        self.interruptions = interruptions
        self.log = log
    }

    /// Returns when it serves, and what it replaces has gone; fails with nothing changed.
    borrowing func run(_ outputs: borrowing Outputs) throws(Failure) {
        for index in 0..<members.count { show(index, .starting) }
        let probes = Probes()
        if generation.state == .live { return try join(outputs, probes) }
        let entry: Entry
        do throws(Failure) {
            try handoff.sweep(members[0].enrolment)
            try connectAll(probes)
            for index in 0..<members.count { try awaitReady(index, probes) }
            if members[0].enrolment.request.isSuspended { try reportRoom() }
            entry = try enter(0..<members.count)
        } catch {
            throw giveUp(error, outputs)
        }
        for index in 0..<members.count { show(index, .serving) }
        handoff.letGo(members[0].enrolment, members[0].enrolment.process, members[0].sockets)
        for index in 1..<max(1, members.count) { handoff.close(members[index].sockets, members[index].sockets.count) }
        if case .cutOver(let old) = entry { handoff.retireOthers(members[0].enrolment, members[0].sockets, old) }
        settle()
        log.display?.finish(
            success(generation.label, members[0].enrolment.request, copies: members.count), isGood: true)
    }

    /// Copies of a live generation take their places one by one, and fail one by one.
    private borrowing func join(_ outputs: borrowing Outputs, _ probes: Probes) throws(Failure) {
        var obstacle: Failure?
        do throws(Failure) { try connectAll(probes) } catch { obstacle = error }
        var failures: [ByteString] = []
        var interruption: Int32?
        for index in 0..<members.count {
            do throws(Failure) {
                if let obstacle { throw obstacle }
                if interruption == nil { try awaitReady(index, probes) }
                if let interruption { throw interrupted(interruption) }
                _ = try enter(index..<(index + 1))
                show(index, .serving)
                handoff.letGo(members[index].enrolment, members[index].enrolment.process, members[index].sockets)
            } catch {
                interruption = interruption ?? interruptions.received()
                // What the launcher has said of it was read by then.
                let said = error.step == "start" ? error.reason : nil
                let why = interruption.map { interrupted($0).reason } ?? said ?? reason(of: index) ?? error.reason
                failures.append("copy \(members[index].enrolment.record.copy): \(why)")
                show(index, .failed(why))
                handoff.close(members[index].sockets, members[index].sockets.count)
                handoff.giveUp(members[index].enrolment, members[index].enrolment.process, error)
            }
        }
        if failures.isEmpty {
            let what: ByteString = members.count == 1 ? "1 more copy serves" : "\(members.count) more copies serve"
            log.display?.finish("\(what) in generation \(generation.label)", isGood: true)
            return
        }
        if let display = log.display { outputs.show(on: display) }
        throw Failure(
            .negative, "add", "to generation \(generation.label) of app \(members[0].enrolment.request.name)",
            joined(failures, by: "; "), remedy: "those that were there serve on")
    }

    /// A probe waits in each accept queue before the first of the copies gets so far: then that all have been accepted
    /// is known a moment after the last has.
    private borrowing func connectAll(_ probes: Probes) throws(Failure) {
        guard members[0].enrolment.request.readiness == .accept else { return }
        let lock = try members[0].enrolment.registry.lock()
        var state = AppState.forProbes(members[0].enrolment.registry)
        for index in 0..<members.count {
            // One at a time: a program that serves one client at a time would read from the second in vain.
            let listeners = members[index].enrolment.record.listeners
            guard let which = listeners.firstIndex(where: { $0.identity.transport != .udp }) else { continue }
            let identity = listeners[which].identity
            if identity.transport == .unix {
                probes.add(try connectProbe(toPathOf: identity), index, which)
            } else {
                probes.add(try connectProbe(to: identity, members[index].sockets[which].source, &state), index, which)
            }
        }
        if case .index? = state.app.steering { try state.store(in: members[0].enrolment.registry) }
        lock.release(closing: ())
    }

    /// Waits until one copy is ready, or anything happens that concerns all.
    private borrowing func awaitReady(_ index: Int, _ probes: Probes) throws(Failure) {
        let number = members[index].enrolment.process.identity.pid
        let obstacle = try step("wait for", "pid \(number)") { () throws(Errno) in
            try members[index].enrolment.exec.awaitExec(until: deadline)
        }
        if let obstacle {
            throw Failure(
                .negative, "start", copyName(index),
                obstacle.isEmpty ? endReason(of: members[index].enrolment.process) : obstacle)
        }
        let listeners = members[index].enrolment.record.listeners
        let request = members[index].enrolment.request
        let check = ReadinessCheck(
            readiness: request.readiness, listeners: listeners.map { $0.identity }, deadline: deadline,
            interruption: generation.state == .live ? interruptions.signalsNumber : interruptions.number,
            offered: offer(listeners, members[index].sockets), report: log.report)
        do throws(NotReady) {
            try awaitReadiness(
                check, of: members[index].enrolment.process, channel: members[index].enrolment.channel
            ) { (which: Int) throws(Failure) in
                if let probe = probes.take(index, which) { return probe }
                return try connectProbe(
                    to: listeners[which], members[index].sockets[which].source, members[index].enrolment.registry)
            }
        } catch {
            let failure = error.failure
            throw Failure(failure.code, failure.step, copyName(index), failure.reason)
        }
        show(index, .ready)
    }

    private borrowing func enter(_ range: Range<Int>) throws(Failure) -> Entry {
        try handoff.enter(
            members[range.lowerBound].enrolment, range.map { members[$0].enrolment.record.copy },
            members[range.lowerBound].sockets, releases: true,
            end: { index in
                let index = range.lowerBound + index
                guard members[index].enrolment.process.hasExited else { return nil }
                return endReason(of: members[index].enrolment.process)
            },
            place: { (index, state: AppState, record: CopyRecord, slot: Slot) throws(Failure) in
                try handoff.place(record, in: slot, state, members[range.lowerBound + index].sockets)
            })
    }
}

extension Deploy {
    /// What the old copies, and the app's limit, leave to be done in the control groups.
    private borrowing func settle() {
        guard members[0].enrolment.registry.loadApp()?.group != nil else { return }
        do throws(Failure) {
            let record = members[0].enrolment.record
            try members[0].enrolment.registry.change { $0.settleAppLimit(record, log) }
        } catch {
            // It serves by now.
            log.warning(error.message)
        }
    }
}

// MARK: - When it fails

extension Deploy {
    /// Ends what was started, and says why for each copy.
    private borrowing func giveUp(_ failure: Failure, _ outputs: borrowing Outputs) -> Failure {
        let signal = interruptions.received()
        // The others are likely to fail for the same reason, or for the real one.
        let patience = Deadline(after: Milliseconds(signal == nil ? 300 : 0))
        for each in 0..<members.count { _ = try? members[each].enrolment.process.waitForExit(until: patience) }
        var cause = signal.map { interrupted($0) } ?? failure
        var index = 0
        var failed: [ByteString] = []
        for each in 0..<members.count {
            guard var why = reason(of: each) else { continue }
            // What the launcher has said of it was read by then.
            if failure.object == copyName(each), failure.step == "start" { why = failure.reason }
            if failed.isEmpty {
                index = each
                if signal == nil { cause = Failure(.negative, "wait for", copyName(each), why) }
            }
            failed.append("\(copyName(each)): \(why)")
            show(each, .failed(why))
        }
        if failed.isEmpty { failed = ["\(cause.object.isEmpty ? "" : "\(cause.object): ")\(cause.reason)"] }
        // What is stopped now is waited for until its listeners are closed: ours would be taken for its own.
        for each in 0..<members.count { handoff.close(members[each].sockets, members[each].sockets.count) }
        let served = AppState.mended(members[0].enrolment.registry).app.live?.label
        handoff.giveUp(members[index].enrolment, members[index].enrolment.process, cause)
        if let display = log.display { outputs.show(on: display) }
        return notDeployed(
            generation.label, members[0].enrolment.request, joined(failed, by: "; "), served: served)
    }

    /// How many connections can wait while they stand still, after what their programs have shrunk has been raised
    /// again.
    private borrowing func reportRoom() throws(Failure) {
        var room = 0
        for index in 0..<members.count {
            for which in 0..<members[index].sockets.count {
                room += try widenBacklog(
                    members[index].sockets[which].source, members[index].enrolment.record.listeners[which])
            }
        }
        report(room: room, log)
    }

    private func interrupted(_ signal: Int32) -> Failure {
        Failure(.negative, "deploy", "", interruption(signal))
    }

    private borrowing func copyName(_ index: Int) -> ByteString { "copy \(members[index].enrolment.record.copy)" }

    /// Why a copy has ended, in the launcher's own words where it was still that; nil if it runs.
    private borrowing func reason(of index: Int) -> ByteString? {
        guard members[index].enrolment.process.hasExited else { return nil }
        let said = (try? members[index].enrolment.exec.awaitExec(until: Deadline(moment: 0))) ?? nil
        if let said, !said.isEmpty { return said }
        return handoff.kernelsReason(members[index].enrolment)
    }

    private borrowing func show(_ index: Int, _ state: Progress.CopyState) {
        log.display?.note(
            copy: members[index].enrolment.record.copy, pid: members[index].enrolment.process.identity.pid, state)
    }
}

/// Probes that were connected before their turn. A class, for who waits only looks at it.
private final class Probes {
    private var probes = OwnedArray<Descriptor>()
    private var places: [(copy: Int, listener: Int)] = []

    func add(_ probe: consuming Descriptor, _ copy: Int, _ listener: Int) {
        probes.append(probe)
        places.append((copy, listener))
    }

    /// The one for a listener of a copy, the first time.
    func take(_ copy: Int, _ listener: Int) -> Descriptor? {
        guard let index = places.firstIndex(where: { $0.copy == copy && $0.listener == listener }) else { return nil }
        places.remove(at: index)
        return probes.remove(at: index)
    }
}
