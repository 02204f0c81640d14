import CLinux

/// Watches a generation whose copies a supervisor starts: their own helpers hand over.
final class ServiceWatch {
    private let deploy: PreparedDeploy
    /// The label of the generation, and the id that it gets if no other copy registers before.
    private let expected: (label: ByteString, generation: UInt64)
    /// The processes that were copies before.
    private let past: [ProcessIdentity]
    private let report: Reporter
    private var isKnown = false
    /// What became of each of the copies, if it has failed.
    private var failures: [GenerationOutcome?]
    /// What became of the generation, if there is nothing to wait for any more.
    private var outcome: GenerationOutcome?
    private(set) var hasTakenOver = false

    init(_ deploy: PreparedDeploy, expected: Deployment, past: [ProcessIdentity], _ report: Reporter) {
        (self.deploy, self.past, self.report) = (deploy, past, report)
        self.expected = (expected.label, expected.generation)
        failures = deploy.numbers.map { _ in nil }
    }

    private var request: AppRequest { deploy.request }
    private var numbers: [Int] { deploy.numbers }

    /// Returns when the generation serves and nobody is at work on the handoff any more.
    func run(
        _ registry: Registry, _ interruptions: borrowing Interruptions
    ) throws(HandoffFailure) {
        // runsvdir looks for new services every five seconds.
        let deadline = Deadline(after: Milliseconds(request.readyTimeout.count + 15_000))
        let firstLook = Deadline(after: .seconds(15))
        // The other copies are likely to fail for the same reason, or the first of them for the real one.
        var patience: Deadline?
        let changes: FileWatch
        do throws(Errno) {
            changes = try FileWatch(in: registry)
        } catch {
            let why = EndReason(.handoff, "\(registry.path) cannot be watched: \(error.description)")
            throw failure([.failed(copy: nil, why)], nil)
        }
        while true {
            let state = AppState.reconciled(registry)
            if look(at: state, registry) { return }
            // The signal is taken even if it changes nothing, because one that stays would end the wait below at once.
            let signal = interruptions.received()
            // It was rolled back.
            if hasTakenOver, let outcome { throw failure([outcome], state) }
            if !hasTakenOver {
                if let signal { throw failure([.failed(copy: nil, EndReason(.interrupted(signal)))], state) }
                if let outcome {
                    let end = patience ?? Deadline(after: Milliseconds(300))
                    patience = end
                    if end.hasPassed || failures.allSatisfy({ $0 != nil }) {
                        throw failure(failuresOfCopies(or: outcome), state)
                    }
                }
                if firstLook.hasPassed, late(state) == .notStarted, let words = noSupervisor {
                    throw failure([.failed(copy: nil, EndReason(.handoff, words))], state)
                }
                if deadline.hasPassed { throw failure(failuresOfCopies(or: late(state)), state) }
            }
            // The end of a helper changes no file, so look again now and then.
            let pause = Milliseconds(hasTakenOver ? 100 : 500)
            changes.wait(for: interruptions.number, until: patience ?? Deadline(after: pause))
        }
    }

    /// Says that no runsvdir looks at the folder; nil if one does, or there is another supervisor.
    private var noSupervisor: ByteString? {
        guard case .runit(let path)? = deploy.options.supervision,
            let folder = try? ScanDirectory.open(path, isS6: false)
        else { return nil }
        for number in numbers where folder.isSupervised("\(request.name)-\(expected.label)-\(number)") { return nil }
        let advice: ByteString = path == "/etc/sv" ? "Debian's folder is /etc/service" : "have a runsvdir run there"
        return "nobody serves \(path); \(advice)"
    }

    /// Whether the output of a copy is of interest after a failure: not where others are known to have failed.
    func concerns(_ index: Int) -> Bool { failures[index] != nil || failures.allSatisfy { $0 == nil } }

    /// Reports what is new; true when all is done.
    private func look(at state: AppState, _ registry: Registry) -> Bool {
        let found = state.app.generations.first { generation in
            guard generation.label == expected.label else { return false }
            return request.joins.map { $0 == generation.id } ?? (generation.id >= expected.generation)
        }
        if !hasTakenOver {
            for (index, number) in numbers.enumerated() {
                // A supervisor that was killed starts a copy once more, which is refused because the first one runs.
                let runs = state.copies.contains { $0.generation == found?.id && $0.copy == number && !$0.hasGone }
                if !runs, let why = registry.loadLaunchFailure(expected.label, number) {
                    note(index, nil, EndReason(.launch, why), isLast: true)
                }
            }
        }
        guard let generation = found else { return false }
        if !isKnown, request.joins == nil {
            isKnown = true
            _ = try? registry.store(deploy.deployment.of(generation))
        }
        let copies = state.copies(of: generation.id)
        let serving = reportCopies(copies, generation)
        switch generation.state {
        case .starting: return false
        case .live:
            if !hasTakenOver, serving == numbers.count {
                hasTakenOver = true
                report(request.joins == nil ? .tookOver(from: nil) : .joined)
                if request.isSuspended { report(.room(widenBacklogs(of: copies))) }
            }
            // The helper of the last copy has to end the old generation.
            return hasTakenOver && !state.copies.contains { $0.helper != nil }
        case .retiring, .retired, .ended, .failed:
            if let live = state.app.live, live.id < generation.id {
                // It was rolled back. The kernel says so before the file does, which has the reason.
                outcome = generation.outcome == .none ? .replaced(by: live.label) : generation.outcome
                return false
            }
            if hasTakenOver && generation.state != .failed { return true }
            outcome = generation.outcome
            return false
        }
    }

    /// Reports how far copies have come; returns how many serve.
    private func reportCopies(_ copies: [CopyRecord], _ generation: GenerationRecord) -> Int {
        var serving = 0
        for (index, number) in numbers.enumerated() {
            // Not the process that was this copy before.
            guard let copy = copies.first(where: { $0.copy == number && !past.contains($0.process) }) else { continue }
            // The first copy that failed is the generation's reason, even if it has been stopped since.
            if case .failed(number, _) = generation.outcome { failures[index] = generation.outcome }
            switch copy.state {
            case .starting: report(.copy(number, pid: copy.process.pid, .starting))
            case .ready: report(.copy(number, pid: copy.process.pid, .ready))
            case .live:
                serving += 1
                report(.copy(number, pid: copy.process.pid, .serving))
            case .abandoned, .ended:
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

    /// Notes that a copy has failed. `isLast`: nothing is waited for any more but the reasons of others.
    private func note(_ index: Int, _ pid: Int32?, _ reason: EndReason, isLast: Bool) {
        report(.copy(numbers[index], pid: pid, .failed(reason)))
        let failure = GenerationOutcome.failed(copy: numbers[index], reason)
        failures[index] = failure
        if isLast { outcome = failure }
    }

    /// What became of the copies that failed; of the generation where none has.
    private func failuresOfCopies(or outcome: GenerationOutcome) -> [GenerationOutcome] {
        let known = failures.compactMap { $0 }
        return known.isEmpty ? [outcome] : known
    }

    private func failure(_ outcomes: [GenerationOutcome], _ state: AppState?) -> HandoffFailure {
        HandoffFailure(
            app: request.name, label: expected.label, outcomes: outcomes, joined: request.joins != nil,
            served: state?.presence)
    }

    private func late(_ state: AppState) -> GenerationOutcome {
        let found = state.app.generations.last { $0.label == expected.label }
        let present = found.map { state.running($0.id).count } ?? 0
        return present == 0 ? .notStarted : .incomplete(present: present, wanted: request.copies)
    }
}

extension CopyRecord {
    /// Whether it ended because others failed, or for no known reason yet.
    fileprivate var wasStopped: Bool {
        switch reason?.cause {
        case nil, .unknown?, .toldToStop?, .killed?, .ended(.exited(0))?, .interrupted?: true
        case .ended(let end)?: end == .killed(stopSignal)
        case .background?, .outOfMemory?, .launch?, .notReady?, .notStopped?, .handoff?: false
        }
    }
}
