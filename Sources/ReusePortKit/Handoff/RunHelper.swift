import CLinux

/// The helper's way through a handoff, from the start of its copy to the end of the old generation.
func runHelper(_ enrolment: borrowing Enrolment, _ sockets: borrowing OwnedArray<Placement>) {
    let handoff = Handoff(enrolment, title: ProcessTitle())
    do throws(Failure) {
        try handoff.takeOver(enrolment, enrolment.process, sockets)
    } catch {
        handoff.giveUp(enrolment, enrolment.process, error)
    }
}

/// What a helper knows of its handoff.
struct Handoff {
    let log: Log
    let title: ProcessTitle
    let name: ByteString
    let label: ByteString
    let order: UInt64

    init(_ enrolment: borrowing Enrolment, title: ProcessTitle) {
        log = enrolment.log
        self.title = title
        name = enrolment.request.name
        label = enrolment.generation.label
        order = enrolment.generation.order
    }

    /// Says what is going on, in the log and in the process's title.
    func say(_ text: ByteString) {
        show(text)
        log.step(text)
        log.detail("at \(MonotonicClock.microseconds) us: \(text)")
    }

    func show(_ text: ByteString) { title.show("reuseport-exec: \(name) \(label): \(text)") }
}

extension Handoff {
    /// gate → start → ready → cutover → drain → retire; what has been done up to "gate" was the launcher's part.
    fileprivate func takeOver(
        _ enrolment: borrowing Enrolment, _ process: borrowing ProcessHandle, _ sockets: borrowing OwnedArray<Placement>
    ) throws(Failure) {
        let request = enrolment.request
        try sweep(enrolment)
        show("waiting for readiness of pid \(process.identity.pid)")
        log.detail(
            "pid \(process.identity.pid) is copy \(request.copy) of \(enrolment.generation.copies), waiting for readiness"
        )
        let listeners = enrolment.record.listeners
        let deadline = Deadline(after: request.readyTimeout)
        let entry: Entry
        do throws(Failure) {
            try awaitExec(enrolment, until: deadline)
            let check = ReadinessCheck(
                readiness: request.readiness, listeners: listeners.map { $0.identity }, deadline: deadline,
                offered: offer(listeners, sockets), report: log.report)
            do throws(NotReady) {
                try awaitReadiness(check, of: process, channel: enrolment.channel) { (index: Int) throws(Failure) in
                    try connectProbe(to: listeners[index], sockets[index].source, enrolment.registry)
                }
            } catch {
                throw error.failure
            }
            say("pid \(process.identity.pid) is ready")
            entry = try enter(enrolment, process, sockets)
        } catch {
            // What is stopped now is waited for until its listeners are closed: ours would be taken for its own.
            close(sockets, enrolment.record.listeners.count)
            throw error
        }
        letGo(enrolment, process, sockets)
        switch entry {
        case .tookItsPlace:
            say("pid \(process.identity.pid) took its place")
            tellSupervisor(enrolment, process.identity.pid)
        case .cutOver(let old):
            tellSupervisor(enrolment, process.identity.pid)
            retireOthers(enrolment, sockets, old)
        case .waiting:
            try awaitOthers(enrolment, process)
            tellSupervisor(enrolment, process.identity.pid)
            // That this helper has gone is seen. If all that waited wrote it down, one after the other, those who
            // retire the old generation would wait for them.
            if enrolment.record.group == nil { return log.detail("the handoff is over") }
        }
        do throws(Failure) {
            try note(enrolment) { (state: inout AppState, record: inout CopyRecord) in
                record.helper = nil
                state.settleAppLimit(record, log)
            }
        } catch {
            // It serves by now. That it could not be written down is no reason to stop it.
            log.warning(error.message)
        }
        log.detail("the handoff is over")
    }

    /// A listener that somebody else holds stays open when its process has died, and swallows connections.
    func letGo(
        _ enrolment: borrowing Enrolment, _ process: borrowing ProcessHandle, _ sockets: borrowing OwnedArray<Placement>
    ) {
        let count = enrolment.record.listeners.count
        guard case .index? = enrolment.registry.loadApp()?.steering else { return close(sockets, count) }
        // At level 2 they are needed to direct the group until the old copies have gone; not longer than the copy
        // lives.
        closeAtEnd(of: process.descriptor.number, (0..<count).map { sockets[$0].source.number })
    }

    /// Their owner looks at them no more, but does not know that they are closed.
    func close(_ sockets: borrowing OwnedArray<Placement>, _ count: Int) {
        for index in 0..<count { closeInPlace(sockets[index].source.number) }
    }

    /// Changes this copy's record, and anything else, under the lock.
    func note(
        _ enrolment: borrowing Enrolment, _ change: (inout AppState, inout CopyRecord) -> Void
    ) throws(Failure) {
        try enrolment.registry.change { state in
            var record = state.copies.first { $0.fileName == enrolment.record.fileName } ?? enrolment.record
            change(&state, &record)
            state.replace(record)
        }
    }

    private func enter(
        _ enrolment: borrowing Enrolment, _ process: borrowing ProcessHandle, _ sockets: borrowing OwnedArray<Placement>
    ) throws(Failure) -> Entry {
        try enter(
            enrolment, [enrolment.record.copy], sockets, releases: false,
            end: { _ in process.hasExited ? endReason(of: process) : nil },
            place: { (_, state: AppState, record: CopyRecord, slot: Slot) throws(Failure) in
                try place(record, in: slot, state, sockets)
            })
    }

    /// Waits until the last copy has cut over, or the generation has failed.
    private func awaitOthers(_ enrolment: borrowing Enrolment, _ process: borrowing ProcessHandle) throws(Failure) {
        show("ready, waiting for the other copies")
        let deadline = Deadline(after: enrolment.request.readyTimeout)
        while !(try isLive(enrolment, process, deadline)) {
            guard let changes = try? Changes(ofApp: enrolment.registry) else {
                // Too many watch something. That is no reason to end a copy that may be live by now.
                _ = poll(nil, 0, 50)
                continue
            }
            // What has changed before the watch began.
            if try isLive(enrolment, process, deadline) { return }
            changes.wait(or: process, until: deadline)
        }
    }

    private func isLive(
        _ enrolment: borrowing Enrolment, _ process: borrowing ProcessHandle, _ deadline: Deadline
    ) throws(Failure) -> Bool {
        let generation = enrolment.registry.loadApp()?.generation(order)
        switch generation?.state {
        case .live?, .retiring?, .retired?: return true
        case .starting?: break
        default:
            throw Failure(
                .negative, "take over", "generation \(label)", generation?.reason ?? "the registry was removed")
        }
        if process.hasExited {
            throw Failure(.negative, "wait for", "pid \(process.identity.pid)", endReason(of: process))
        }
        if deadline.hasPassed {
            throw Failure(
                .negative, "take over", "generation \(label)",
                tooFew(AppState.mended(enrolment.registry).running(order).count, of: enrolment.generation.copies),
                remedy: "start all of them within --ready-timeout")
        }
        return false
    }
}
