import CLinux

/// What is seen of a generation while others start its copies.
struct ServiceWatch {
    let request: AppRequest
    let label: ByteString
    let numbers: [Int]
    let deployment: Deployment
    let log: Log
    /// Processes that were there before.
    let past: [ProcessIdentity]
    /// The number of the youngest generation before.
    let sequence: UInt64
    private var order: UInt64?
    /// Of each of the numbers why it has failed, if it has.
    private var reasons: [ByteString]
    /// Set when it is over: what is said of it where no copy has a reason.
    private var why: ByteString?
    private var hasTakenOver = false

    init(
        _ request: AppRequest, _ label: ByteString, _ numbers: [Int], _ deployment: Deployment, log: Log,
        past: [ProcessIdentity], sequence: UInt64
    ) {
        (self.request, self.label, self.numbers, self.deployment) = (request, label, numbers, deployment)
        (self.log, self.past, self.sequence) = (log, past, sequence)
        reasons = numbers.map { _ in "" }
    }

    /// Returns when the generation serves and nobody is at work on the handoff any more.
    mutating func run(_ registry: borrowing Registry, _ interruptions: borrowing Interruptions) throws(Failure) {
        // runsvdir looks for new services every five seconds.
        let deadline = Deadline(after: Milliseconds(request.readyTimeout.count + 15_000))
        // The others are likely to fail for the same reason, or for the real one.
        var patience: Deadline?
        let changes = try step("watch", registry.path) { () throws(Errno) in try Changes(in: registry) }
        while true {
            let state = AppState.mended(registry)
            if try look(at: state, registry) { return }
            // Taken in any case: what has come makes the wait below a short one.
            let signal = interruptions.received()
            if !hasTakenOver {
                if let signal { throw failure(interruption(signal), state) }
                if let why {
                    let end = patience ?? Deadline(after: Milliseconds(300))
                    patience = end
                    if end.hasPassed || !reasons.contains("") {
                        let all = reasons.filter { !$0.isEmpty }
                        throw failure(all.isEmpty ? why : joined(all, by: "; "), state)
                    }
                }
                if deadline.hasPassed { throw late(state) }
            }
            // That a helper has gone is no change of a file.
            let pause = Milliseconds(hasTakenOver ? 100 : 500)
            changes.wait(for: interruptions.number, until: patience ?? Deadline(after: pause))
        }
    }

    /// Whether the output of a copy is of interest after a failure: not that of others, if it is known which have
    /// failed.
    func concerns(_ index: Int) -> Bool { !reasons[index].isEmpty || joined(reasons, by: "").isEmpty }

    /// Shows what is new; true when all is done.
    private mutating func look(at state: AppState, _ registry: borrowing Registry) throws(Failure) -> Bool {
        if !hasTakenOver {
            for (index, number) in numbers.enumerated() {
                if let why = registry.loadLaunchFailure(label, number) { note(index, nil, why, isLast: true) }
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
            (deployment.generation, deployment.label) = (generation.order, generation.label)
            try registry.store(deployment)
        }
        var serving = 0
        for (index, number) in numbers.enumerated() {
            // Not what had the number before.
            guard let copy = copies.first(where: { $0.copy == number && !past.contains($0.process) }) else { continue }
            // The first to fail, which may have been stopped since.
            if generation.reason.hasPrefix("pid \(copy.process.pid)"),
                let (_, why) = generation.reason.cut(at: UInt8(ascii: ":"))
            {
                reasons[index] = "copy \(number):\(why)"
            }
            let shown: Progress.CopyState
            switch copy.state {
            case .starting: shown = .starting
            case .ready: shown = .ready
            case .live:
                shown = .serving
                serving += 1
            case .ended:
                // One that joins fails alone, and would be started again and again.
                if !copy.hasStopped || request.joins != nil && copy.reason != "it has ended" {
                    note(index, copy.process.pid, copy.reason, isLast: request.joins != nil)
                }
                continue
            case .stopping, .retired: continue
            }
            log.display?.note(copy: number, pid: copy.process.pid, shown)
        }
        switch generation.state {
        case .starting: return false
        case .live:
            if !hasTakenOver, serving == numbers.count {
                hasTakenOver = true
                log.step(request.joins == nil ? "has taken over" : "they have taken their places")
                if request.isSuspended { report(room: try widenBacklogs(of: copies), log) }
            }
            // The helper of the last copy has the old generation to end.
            return hasTakenOver && !state.copies.contains { $0.helper != nil }
        case .retiring, .retired, .ended, .failed:
            if hasTakenOver && generation.state != .failed { return true }
            why = generation.reason
            return false
        }
    }

    /// A copy has failed. `isLast`: nothing is waited for any more but the reasons of others.
    private mutating func note(_ index: Int, _ pid: Int32?, _ reason: ByteString, isLast: Bool) {
        log.display?.note(copy: numbers[index], pid: pid, .failed(reason))
        reasons[index] = "copy \(numbers[index]): \(reason)"
        if isLast { why = reason }
    }

    private func failure(_ why: ByteString, _ state: AppState) -> Failure {
        notDeployed(label, request, why, served: state.app.live?.label)
    }

    private func late(_ state: AppState) -> Failure {
        let present = state.app.generations.last { $0.label == label }.map { state.running($0.order).count } ?? 0
        return failure(
            present == 0 ? "its supervisor has not started it" : tooFew(present, of: request.copies), state)
    }
}

extension CopyRecord {
    /// Whether it has ended because others have failed ("it was told to stop", "killed: …"), or it is not known yet why
    /// ("it has ended").
    fileprivate var hasStopped: Bool {
        reason.hasPrefix("it ") || reason.hasPrefix("killed: ") || reason.hasPrefix("exited with 0")
            || reason == ProcessEnd.killed(stopSignal).description
    }
}
