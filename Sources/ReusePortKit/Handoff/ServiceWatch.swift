import CLinux

/// Watches a generation whose copies a supervisor starts: their own helpers hand over.
struct ServiceWatch {
    private let request: AppRequest
    private let label: ByteString
    private let numbers: [Int]
    private let deployment: Deployment
    /// The processes that were copies before.
    private let past: [ProcessIdentity]
    /// The number of the youngest generation before.
    private let sequence: UInt64
    private let report: Reporter
    private var id: UInt64?
    /// Why each of the copies has failed, if it has.
    private var reasons: [EndReason?]
    /// Why there is nothing to wait for any more, where no copy has a reason.
    private var outcome: GenerationOutcome?
    private var hasTakenOver = false

    init(
        _ request: AppRequest, _ label: ByteString, _ numbers: [Int], _ deployment: Deployment,
        past: [ProcessIdentity], sequence: UInt64, _ report: Reporter
    ) {
        (self.request, self.label, self.numbers, self.deployment) = (request, label, numbers, deployment)
        (self.past, self.sequence, self.report) = (past, sequence, report)
        reasons = numbers.map { _ in nil }
    }

    /// Returns when the generation serves and nobody is at work on the handoff any more.
    mutating func run(
        _ registry: borrowing Registry, _ interruptions: borrowing Interruptions
    ) throws(HandoffFailure) {
        // runsvdir looks for new services every five seconds.
        let deadline = Deadline(after: Milliseconds(request.readyTimeout.count + 15_000))
        // The others are likely to fail for the same reason, or for the real one.
        var patience: Deadline?
        let changes: FileWatch
        do throws(Errno) {
            changes = try FileWatch(in: registry)
        } catch {
            throw failure(EndReason(.handoff, "\(registry.path) cannot be watched: \(error.description)"), nil)
        }
        while true {
            let state = AppState.reconciled(registry)
            if look(at: state, registry) { return }
            // Taken in any case: a signal that stays makes the wait below a busy one.
            let signal = interruptions.received()
            if !hasTakenOver {
                if let signal { throw failure(EndReason(.interrupted(signal)), state) }
                if let outcome {
                    let end = patience ?? Deadline(after: Milliseconds(300))
                    patience = end
                    if end.hasPassed || reasons.allSatisfy({ $0 != nil }) {
                        throw failure(EndReason(.handoff, outcome.description), state)
                    }
                }
                if deadline.hasPassed {
                    throw failure(EndReason(.handoff, late(state).description), state)
                }
            }
            // The end of a helper changes no file, so look again now and then.
            let pause = Milliseconds(hasTakenOver ? 100 : 500)
            changes.wait(for: interruptions.number, until: patience ?? Deadline(after: pause))
        }
    }

    /// Whether the output of a copy is of interest after a failure: not where others are known to have failed.
    func concerns(_ index: Int) -> Bool { reasons[index] != nil || reasons.allSatisfy { $0 == nil } }

    /// Reports what is new; true when all is done.
    private mutating func look(at state: AppState, _ registry: borrowing Registry) -> Bool {
        if !hasTakenOver {
            for (index, number) in numbers.enumerated() {
                if let why = registry.loadLaunchFailure(label, number) {
                    note(index, nil, EndReason(.launch, why), isLast: true)
                }
            }
        }
        let found = state.app.generations.first {
            $0.label == label && (request.joins ?? $0.id) == $0.id
                && (request.joins != nil || $0.id > sequence)
        }
        guard let generation = found else { return false }
        if id == nil, request.joins == nil {
            id = generation.id
            _ = try? registry.store(deployment.of(generation))
        }
        let copies = state.copies(of: generation.id)
        let serving = reportCopies(copies, generation)
        switch generation.state {
        case .starting: return false
        case .live:
            if !hasTakenOver, serving == numbers.count {
                hasTakenOver = true
                report(request.joins == nil ? .tookOver(from: nil) : .joined)
                if request.isSuspended { report(.room((try? widenBacklogs(of: copies)) ?? 0)) }
            }
            // The helper of the last copy has the old generation to end.
            return hasTakenOver && !state.copies.contains { $0.helper != nil }
        case .retiring, .retired, .ended, .failed:
            if hasTakenOver && generation.state != .failed { return true }
            outcome = generation.outcome
            return false
        }
    }

    /// Reports how far copies have come; returns how many serve.
    private mutating func reportCopies(_ copies: [CopyRecord], _ generation: GenerationRecord) -> Int {
        var serving = 0
        for (index, number) in numbers.enumerated() {
            // Not the process that was this copy before.
            guard let copy = copies.first(where: { $0.copy == number && !past.contains($0.process) }) else { continue }
            // The first to fail is the generation's reason; it may have been stopped since.
            if case .failed(number, let reason) = generation.outcome { reasons[index] = reason }
            switch copy.state {
            case .starting: report(.copy(number, pid: copy.process.pid, .starting))
            case .ready: report(.copy(number, pid: copy.process.pid, .ready))
            case .live:
                serving += 1
                report(.copy(number, pid: copy.process.pid, .serving))
            case .ended:
                let reason = copy.reason ?? .unknown
                // A copy that joins fails alone, and would be started again and again.
                if !copy.wasStopped || request.joins != nil && reason.cause != .unknown {
                    note(index, copy.process.pid, reason, isLast: request.joins != nil)
                }
            case .stopping, .retired: break
            }
        }
        return serving
    }

    /// A copy has failed. `isLast`: nothing is waited for any more but the reasons of others.
    private mutating func note(_ index: Int, _ pid: Int32?, _ reason: EndReason, isLast: Bool) {
        report(.copy(numbers[index], pid: pid, .failed(reason)))
        reasons[index] = reason
        if isLast { outcome = .failed(copy: numbers[index], reason) }
    }

    /// The reasons of the copies that failed; `general` where none has one.
    private func failure(_ general: EndReason, _ state: AppState?) -> HandoffFailure {
        var all: [HandoffFailure.Reason] = []
        var isInterrupted = false
        if case .interrupted = general.cause { isInterrupted = true }
        if !isInterrupted {
            for (index, reason) in reasons.enumerated() {
                if let reason { all.append((numbers[index], reason)) }
            }
        }
        if all.isEmpty { all = [(nil, general)] }
        return HandoffFailure(
            app: request.name, label: label, reasons: all, joined: false, served: state?.app.live?.label)
    }

    private func late(_ state: AppState) -> GenerationOutcome {
        let present = state.app.generations.last { $0.label == label }.map { state.running($0.id).count } ?? 0
        return present == 0 ? .notStarted : .incomplete(present: present, wanted: request.copies)
    }
}

extension CopyRecord {
    /// Whether it ended because others failed, or for no known reason yet.
    fileprivate var wasStopped: Bool {
        switch reason?.cause {
        case nil, .unknown?, .toldToStop?, .killed?, .ended(.exited(0))?, .interrupted?: true
        case .ended(let end)?: end == .killed(stopSignal)
        case .outOfMemory?, .launch?, .notReady?, .notStopped?, .handoff?: false
        }
    }
}
