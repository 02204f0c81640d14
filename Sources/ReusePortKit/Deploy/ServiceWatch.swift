import CLinux

/// What is seen of a generation while others start its copies.
struct ServiceWatch {
    let request: AppRequest
    let label: ByteString
    let numbers: [Int]
    let deployment: Deployment
    let log: Log
    let deadline: Deadline
    /// Processes that were there before.
    let past: [ProcessIdentity]
    /// The number of the youngest generation before.
    let sequence: UInt64
    private var order: UInt64?
    private var shown: [CopyRecord.State?]
    private var hasTakenOver = false

    init(
        _ request: AppRequest, _ label: ByteString, _ numbers: [Int], _ deployment: Deployment, log: Log,
        past: [ProcessIdentity], sequence: UInt64
    ) {
        (self.request, self.label, self.numbers, self.deployment) = (request, label, numbers, deployment)
        (self.log, self.past, self.sequence) = (log, past, sequence)
        // runsvdir looks for new services every five seconds.
        deadline = Deadline(after: Milliseconds(request.readyTimeout.count + 15_000))
        shown = numbers.map { _ in nil }
    }

    /// Returns when the generation serves and nobody is at work on the handoff any more.
    mutating func run(_ registry: borrowing Registry, _ interruptions: borrowing Interruptions) throws(Failure) {
        let changes = try step("watch", registry.path) { () throws(Errno) in try Changes(in: registry) }
        while true {
            let state = AppState.mended(registry)
            if try look(at: state, registry) { return }
            if !hasTakenOver {
                if let signal = interruptions.received() {
                    throw Failure(
                        .negative, "deploy", "generation \(label) of app \(request.name)",
                        "it was interrupted by \(signalName(signal))")
                }
                if deadline.hasPassed { throw late(state) }
            }
            changes.wait(for: interruptions.number, until: Deadline(after: Milliseconds(500)))
        }
    }

    /// Shows what is new; true when all is done.
    private mutating func look(at state: AppState, _ registry: borrowing Registry) throws(Failure) -> Bool {
        if !hasTakenOver {
            for number in numbers {
                guard let why = registry.loadLaunchFailure(label, number) else { continue }
                log.display?.note(copy: number, pid: nil, .failed(why))
                throw Failure(
                    .negative, "deploy", "generation \(label) of app \(request.name)", "copy \(number): \(why)",
                    remedy: state.app.live.map { "generation \($0.label) serves on" })
            }
        }
        guard
            let generation = state.app.generations.first(where: {
                $0.label == label && (request.joins ?? $0.order) == $0.order
                    && (request.joins != nil || $0.order > sequence)
            })
        else { return false }
        let copies = state.copies(of: generation.order)
        if order == nil, request.joins == nil {
            order = generation.order
            var deployment = deployment
            deployment.generation = generation.order
            try registry.store(deployment)
        }
        for (index, number) in numbers.enumerated() {
            // Not what had the number before.
            guard let copy = copies.first(where: { $0.copy == number && !past.contains($0.process) }),
                copy.state != shown[index]
            else { continue }
            shown[index] = copy.state
            switch copy.state {
            case .starting: log.display?.note(copy: number, pid: copy.process.pid, .starting)
            case .ready: log.display?.note(copy: number, pid: copy.process.pid, .ready)
            case .live: log.display?.note(copy: number, pid: copy.process.pid, .serving)
            case .ended:
                log.display?.note(copy: number, pid: copy.process.pid, .failed(copy.reason))
                // One that joins fails alone, and would be started again and again.
                if request.joins != nil {
                    throw Failure(
                        .negative, "add", "copy \(number) to generation \(label) of app \(request.name)", copy.reason)
                }
            case .stopping, .retired: break
            }
        }
        switch generation.state {
        case .starting: return false
        case .live:
            let serving = copies.filter {
                $0.state == .live && numbers.contains($0.copy) && !past.contains($0.process)
            }
            if !hasTakenOver, serving.count == numbers.count {
                hasTakenOver = true
                log.step(request.joins == nil ? "has taken over" : "they have taken their places")
                if request.isSuspended { try reportRoom(serving) }
            }
            // The helper of the last copy has the old generation to end.
            return hasTakenOver && !state.copies.contains { $0.helper != nil }
        case .retiring, .retired, .ended:
            if hasTakenOver { return true }
            fallthrough
        case .failed:
            let failed = copies.filter { !$0.reason.isEmpty }.map { "copy \($0.copy): \($0.reason)" as ByteString }
            throw Failure(
                .negative, "deploy", "generation \(label) of app \(request.name)",
                generation.reason.isEmpty ? joined(failed, by: "; ") : generation.reason,
                remedy: state.app.live.map { "generation \($0.label) serves on" })
        }
    }

    /// How many connections can wait, after what the programs have shrunk has been raised again.
    private func reportRoom(_ copies: [CopyRecord]) throws(Failure) {
        var room = 0
        for copy in copies {
            for listener in copy.listeners {
                guard let held = try? borrowListener(of: copy, named: listener.identity.name) else { continue }
                room += try widenBacklog(held, listener)
            }
        }
        if room > 0 { log.step("up to \(room) connections can wait") }
    }

    private func late(_ state: AppState) -> Failure {
        let present = state.app.generations.last { $0.label == label }.map { state.running($0.order).count } ?? 0
        return Failure(
            .negative, "deploy", "generation \(label) of app \(request.name)",
            present == 0
                ? "its supervisor has not started it" : "only \(present) of \(request.copies) copies are there",
            remedy: state.app.live.map { "generation \($0.label) serves on" })
    }
}
