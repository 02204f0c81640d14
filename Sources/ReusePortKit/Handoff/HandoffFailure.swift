/// Why a handoff stops before its members serve.
indirect enum StepFailure: Error {
    /// The member with this index will not serve.
    case member(Int, EndReason)
    /// The whole generation will not, and no single member is to blame.
    case generation(GenerationOutcome)
}

/// Runs a step of the handoff. If it fails, the member with this index is to blame; without one, the generation is.
func handoffStep<Result: ~Copyable>(
    member: Int? = nil, _ body: () throws(Failure) -> Result
) throws(StepFailure) -> Result {
    do throws(Failure) {
        return try body()
    } catch {
        let reason = EndReason(error)
        throw member.map { .member($0, reason) } ?? .generation(.failed(copy: nil, reason))
    }
}

extension EndReason {
    /// Records a step that failed, for people to read.
    init(_ failure: Failure) {
        var words: ByteString = failure.object.isEmpty ? "" : "\(failure.object): "
        words.append(failure.reason)
        if let remedy = failure.remedy { words.append("; \(remedy)") }
        self.init(.handoff, words)
    }
}

extension GenerationOutcome {
    /// Says why copies cannot enter a generation as it is by now; nil: the registry does not know it any more.
    init(whyClosed generation: GenerationRecord?) {
        if let generation, generation.outcome != .none {
            self = generation.outcome
        } else {
            let why: ByteString = generation.map { "it is \($0.state.name)" } ?? "the registry was removed"
            self = .failed(copy: nil, EndReason(.handoff, why))
        }
    }

    /// Whether the generation was live until a command or another generation ended that.
    var hasServed: Bool {
        switch self {
        case .replaced, .ended: true
        default: false
        }
    }

    /// The reason of a copy that fails because its generation does.
    var reasonOfCopy: EndReason {
        if case .failed(_, let reason) = self { reason } else { EndReason(.handoff, description) }
    }
}

/// Tells how the live generation is when another one has failed.
struct Presence {
    let label: ByteString
    /// Copies that serve; nil: the kernel does not say.
    let serving: Int?
    var isSuspended = false

    var description: ByteString {
        if isSuspended { return "generation \(label) stays suspended" }
        return serving == 0
            ? "nothing serves now: the copies of generation \(label) have gone" : "generation \(label) serves on"
    }
}

extension AppState {
    /// Nil: there is no live generation.
    var presence: Presence? {
        app.live.map { live in
            Presence(label: live.label, serving: try? serving(live.id), isSuspended: app.suspended == live.id)
        }
    }
}

/// A handoff that failed; the live generation goes on as before.
struct HandoffFailure: Error {
    var app: ByteString
    var label: ByteString
    /// What became of each copy that failed; else of the generation.
    var outcomes: [GenerationOutcome]
    /// Whether copies were to join a generation that is live.
    var joined = false
    /// The generation that is live instead.
    var served: Presence?

    /// The outcomes in words, one for all copies that have failed for the same reason.
    private var words: ByteString {
        var copies: [ByteString] = []
        var reasons: [ByteString] = []
        for outcome in outcomes {
            guard case .failed(let copy?, let reason) = outcome else { return outcome.description }
            let text = reason.description
            if let index = reasons.firstIndex(of: text) {
                copies[index].append(", copy \(copy)")
            } else {
                copies.append("copy \(copy)")
                reasons.append(text)
            }
        }
        for index in reasons.indices { copies[index].append(": \(reasons[index])") }
        return ReusePortKit.joined(copies, by: "; ")
    }

    /// The last line of a command.
    func failure(_ hint: ByteString = "") -> Failure {
        let why: ByteString = "\(words)\(hint)"
        let object: ByteString = "generation \(label) of app \(app)"
        return joined
            ? Failure(.negative, "add", "to \(object)", why, remedy: served?.description)
            : Failure(.negative, "deploy", object, why, remedy: served?.description)
    }
}
