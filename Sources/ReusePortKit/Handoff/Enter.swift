import CLinux

/// What has become of copies that were ready.
enum Entry {
    /// Their generation was live already.
    case tookItsPlace
    /// They were the last: their generation is live now, in place of the old one.
    case cutOver(Predecessor?)
    /// Others are not ready yet.
    case waiting
}

/// A generation from which another one has just taken over.
struct Predecessor {
    let generation: GenerationRecord
    /// Those that run.
    let copies: [CopyRecord]
    /// Whether what waits at them goes to the new generation when they close their listeners.
    let moves: Bool
}

extension Handoff {
    /// Puts ready copies into their slots, and cuts over if they are the last of their generation.
    ///
    /// `sockets` are listeners of one of them; `releases`: nobody waits for them any more then. `end` tells why the
    /// copy at an index of `copies` has ended, if it has.
    func enter(
        _ enrolment: borrowing Enrolment, _ copies: [Int], _ sockets: borrowing OwnedArray<Placement>, releases: Bool,
        end: (Int) -> ByteString?, place: (Int, AppState, CopyRecord, GenerationListeners) throws(Failure) -> Void
    ) throws(Failure) -> Entry {
        let lock = try enrolment.registry.lock()
        var state = AppState.mended(enrolment.registry)
        guard let generation = state.app.generation(order) else {
            throw Failure(.negative, "take over", "generation \(label)", "the registry was removed")
        }
        guard generation.state == .starting || generation.state == .live else {
            throw Failure(
                .negative, "take over", "generation \(label)",
                generation.reason.isEmpty ? "it is \(generation.state.name)" : generation.reason)
        }
        var entering: [CopyRecord] = []
        for (index, copy) in copies.enumerated() {
            guard var record = state.copies.first(where: { $0.generation == order && $0.copy == copy }) else {
                throw Failure(
                    .negative, "take over", "generation \(label)", "copy \(copy) was removed from the registry")
            }
            if let why = end(index) { throw Failure(.negative, "wait for", "pid \(record.process.pid)", why) }
            record.state = .ready
            if releases { record.helper = nil }
            state.replace(record)
            entering.append(record)
        }
        // Before anything is switched: all who come are to find room.
        if state.app.suspended == order || state.app.suspending == label {
            for (index, listener) in enrolment.record.listeners.enumerated() {
                _ = try widenBacklog(sockets[index].source, of: listener)
            }
        }
        if state.app.suspended == order {
            try suspend(entering, log)
        } else if generation.state == .live {
            wake(&state)
        }
        let listeners = state.listeners(of: generation)
        for (index, record) in entering.enumerated() { try place(index, state, record, listeners) }
        let result = try admit(entering, generation, &state, enrolment, sockets)
        try state.store(in: enrolment.registry)
        lock.release(closing: ())
        return result
    }

    /// Connections for copies that are in their slots; a generation gets them when all of it is.
    private func admit(
        _ entering: [CopyRecord], _ generation: GenerationRecord, _ state: inout AppState,
        _ enrolment: borrowing Enrolment, _ sockets: borrowing OwnedArray<Placement>
    ) throws(Failure) -> Entry {
        if generation.state == .live {
            try state.preparePaths(of: entering)
            for record in entering {
                var record = record
                record.state = .live
                state.replace(record)
                try state.grow(generation, by: record, held: sockets)
            }
            return .tookItsPlace
        }
        guard state.isComplete(generation) else { return .waiting }
        // Before anything is switched, for what has been is not undone.
        try state.preparePaths(of: state.running(order))
        let old = state.app.live
        let isSuspended = enrolment.request.isSuspended || state.app.suspending == generation.label
        if isSuspended { try suspend(state.running(order), log) } else { wake(&state) }
        try state.cutOver(to: generation, enrolment.record.listeners, held: sockets)
        state.makeLive(order)
        if isSuspended { state.app.suspended = order }
        say("took over\(old.map { " from generation \($0.label)" } ?? "")")
        guard let old else { return .cutOver(nil) }
        let copies = state.running(old.order)
        // A listener at an address that the new generation does not have has nobody to move to.
        return .cutOver(Predecessor(generation: old, copies: copies, moves: state.movesQueued(from: copies, to: order)))
    }
}
