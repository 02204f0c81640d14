/// Collects the outcome of a deploy for `--on-deploy`, and writes each step for `--json` as an object on a line of
/// standard output.
final class DeployReport {
    private let isJSON: Bool
    private let start = MonotonicClock.milliseconds
    private(set) var label = ByteString()
    private(set) var copies = 0
    /// The last sentence that the user reads of it.
    private(set) var sentence = ByteString()
    private var ready: UInt64?
    private var cutover: UInt64?
    private var unanswered = 0

    init(isJSON: Bool) { self.isJSON = isJSON }

    /// Milliseconds since the command began.
    var elapsed: UInt64 { MonotonicClock.milliseconds - start }

    func note(_ event: HandoffEvent) {
        switch event {
        case .registered(let label, let copies): (self.label, self.copies) = (label, copies.count)
        case .copy(_, _, .ready): ready = elapsed
        case .tookOver: cutover = elapsed
        case .stop(.endedUnanswered(_, _, let count)): unanswered += count
        case .served(let result): sentence = result.description
        default: break
        }
        if isJSON, let line = described(event) { write(line) }
    }

    /// The deploy is over; nil: it has succeeded.
    func end(_ failure: Failure?) {
        if let failure { sentence = failure.message }
        guard isJSON else { return }
        var line = begun("result")
        line.add("result", failure == nil ? "ok" : "failed")
        line.add("reason", sentence)
        line.add("generation", label)
        line.add("copies", copies)
        line.add("ready_ms", ready)
        line.add("cutover_ms", cutover)
        line.add("duration_ms", elapsed)
        line.add("unanswered", unanswered)
        write(line)
    }

    private func write(_ line: JSONObject) {
        // The deploy goes on without a reader.
        try? ReusePortKit.write("\(line.text)\n")
    }

    /// The beginning of each line.
    private func begun(_ name: ByteString) -> JSONObject {
        var line = JSONObject()
        line.add("event", name)
        line.add("ms", elapsed)
        return line
    }

    /// An event in JSON; nil if it is of no interest there.
    private func described(_ event: HandoffEvent) -> JSONObject? {
        var line: JSONObject
        switch event {
        case .registered(let label, let copies):
            line = begun("registered")
            line.add("generation", label)
            line.add("copies", value: array(of: copies.map { json($0) }))
        case .cameBack(let label):
            line = begun("came_back")
            line.add("generation", label)
        case .copy(let number, let pid, let progress):
            line = begun(name(of: progress))
            line.add("copy", number)
            line.add("pid", pid)
            if case .failed(let reason) = progress { line.add("reason", reason.description) }
        case .tookOver(let old):
            line = begun("cut_over")
            line.add("from", old)
        case .retiring(let label):
            line = begun("told_to_stop")
            line.add("generation", label)
        case .retired(let label, let outcome):
            line = begun(name(of: outcome))
            line.add("generation", label)
        default:
            guard let words = HandoffWords(event), words.level == .warning else { return nil }
            line = begun("warning")
            line.add("text", words.text)
        }
        return line
    }
}

private func name(of progress: CopyProgress) -> ByteString {
    switch progress {
    case .starting: "started"
    case .ready: "ready"
    case .serving: "serves"
    case .failed: "failed"
    }
}

private func name(of outcome: RetireOutcome) -> ByteString {
    switch outcome {
    case .gone: "ended"
    case .finishing: "finishes"
    case .stillThere: "not_ended"
    }
}
