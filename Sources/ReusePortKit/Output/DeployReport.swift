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
        if isJSON, let (name, members) = described(event) { write(name, members) }
    }

    /// The deploy is over; nil: it has succeeded.
    func end(_ failure: Failure?) {
        if let failure { sentence = failure.message }
        guard isJSON else { return }
        write(
            "result",
            [
                ("result", json(failure == nil ? "ok" : "failed")), ("reason", json(sentence)),
                ("generation", json(label)), ("copies", json(copies)), ("ready_ms", json(ready)),
                ("cutover_ms", json(cutover)), ("duration_ms", json(elapsed)), ("unanswered", json(unanswered)),
            ])
    }

    private func write(_ name: ByteString, _ members: [(ByteString, ByteString)]) {
        // The deploy goes on without a reader.
        try? ReusePortKit.write("\(object([("event", json(name)), ("ms", json(elapsed))] + members))\n")
    }
}

/// The name and the members of an event in JSON; nil if it is of no interest there.
private func described(_ event: HandoffEvent) -> (ByteString, [(ByteString, ByteString)])? {
    switch event {
    case .registered(let label, let copies):
        return ("registered", [("generation", json(label)), ("copies", array(copies.map { json($0) }))])
    case .cameBack(let label): return ("came_back", [("generation", json(label))])
    case .copy(let number, let pid, let state):
        var members = [("copy" as ByteString, json(number)), ("pid", json(pid))]
        switch state {
        case .starting: return ("started", members)
        case .ready: return ("ready", members)
        case .serving: return ("serves", members)
        case .failed(let reason):
            members.append(("reason", json(reason.description)))
            return ("failed", members)
        }
    case .tookOver(let old): return ("cut_over", [("from", json(old))])
    case .retiring(let label): return ("told_to_stop", [("generation", json(label))])
    case .retired(let label, let outcome):
        let members = [("generation" as ByteString, json(label))]
        switch outcome {
        case .gone: return ("ended", members)
        case .finishing: return ("finishes", members)
        case .stillThere: return ("not_ended", members)
        }
    default:
        guard let words = HandoffWords(event), words.level == .warning else { return nil }
        return ("warning", [("text", json(words.text))])
    }
}
