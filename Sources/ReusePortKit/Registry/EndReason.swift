/// Why a copy ended or failed: a cause for decisions, and details for people.
struct EndReason: Sendable, Equatable {
    enum Cause: Sendable, Equatable {
        /// It is not known how the process ended.
        case unknown
        case ended(ProcessEnd)
        /// It exited with 0 before it was ready, as programs do that put themselves into the background, or find no
        /// input.
        case background
        /// A handoff or a command told it to stop, and it did.
        case toldToStop
        /// It was told to stop and had to be killed.
        case killed
        /// The kernel killed it because of a memory limit, or because memory ran out.
        case outOfMemory(OutOfMemory)
        /// The launcher failed before it became the target.
        case launch
        /// It runs, but did not become ready.
        case notReady
        /// It could not be stopped, and still runs or listens.
        case notStopped
        /// A signal with this number interrupted the deploy that started it.
        case interrupted(Int32)
        /// A step of the handoff itself failed.
        case handoff
    }

    var cause: Cause
    var detail = ByteString()

    init(_ cause: Cause, _ detail: ByteString = "") {
        self.cause = cause
        self.detail = detail
    }

    /// The end of a process, where it is known.
    init(_ end: ProcessEnd?) { self.init(end.map { .ended($0) } ?? .unknown) }

    /// Compares both. Not inlined into comparisons of records: saves 2 kB.
    @inline(never)
    static func == (one: EndReason, other: EndReason) -> Bool {
        one.cause == other.cause && one.detail == other.detail
    }

    /// Whether a copy ended so that nobody had told to.
    var isCrash: Bool {
        switch cause {
        case .unknown, .ended, .background, .outOfMemory: true
        default: false
        }
    }

    var isOutOfMemory: Bool {
        if case .outOfMemory = cause { true } else { false }
    }

    static let unknown = EndReason(.unknown)
    static let toldToStop = EndReason(.toldToStop)

    /// `exited with 7`, `killed: it still ran 30 s after TERM`, `not ready after 60 s: …`.
    var description: ByteString {
        switch cause {
        case .unknown: "it ended by itself, or was killed"
        case .ended(let end): detail.isEmpty ? end.description : "\(end.description); \(detail)"
        case .background: "\(ProcessEnd.exited(0).description); it must stay in the foreground\(detail)"
        case .toldToStop: "it was told to stop"
        case .killed: "killed: \(detail)"
        case .outOfMemory(let memory): memory.description
        case .interrupted(let signal): "it was interrupted by \(signalName(signal))"
        case .launch, .notReady, .notStopped, .handoff: detail
        }
    }
}

extension EndReason {
    /// As the registry keeps it: the cause, its number, the detail.
    var fields: [ByteString] {
        switch cause {
        case .unknown: ["unknown", "", detail]
        case .ended(.exited(let code)): ["exited", ByteString(decimal: code), detail]
        case .ended(.killed(let signal)): ["signalled", ByteString(decimal: signal), detail]
        case .background: ["background", "", detail]
        case .toldToStop: ["told", "", detail]
        case .killed: ["killed", "", detail]
        case .outOfMemory(let memory): ["memory"] + memory.fields
        case .launch: ["launch", "", detail]
        case .notReady: ["unready", "", detail]
        case .notStopped: ["unstopped", "", detail]
        case .interrupted(let signal): ["interrupted", ByteString(decimal: signal), detail]
        case .handoff: ["handoff", "", detail]
        }
    }

    /// Reads a sentence that an earlier version wrote, which had nothing else. Only these two tell more than the words.
    init(sentence: ByteString) {
        switch sentence {
        case "it was told to stop": self = .toldToStop
        case "it has ended": self = .unknown
        default: self.init(.handoff, sentence)
        }
    }

    /// Reads `fields`; nil if they are damaged.
    init?(fields: [ByteString]) {
        guard fields.count == 3 else { return nil }
        let number = Int32(truncatingIfNeeded: fields[1].decimal ?? 0)
        let cause: Cause
        switch fields[0] {
        case "unknown": cause = .unknown
        case "exited": cause = .ended(.exited(number))
        case "signalled": cause = .ended(.killed(number))
        case "background": cause = .background
        case "told": cause = .toldToStop
        case "killed": cause = .killed
        case "memory":
            guard let memory = OutOfMemory(fields: Array(fields[1...])) else { return nil }
            self.init(.outOfMemory(memory))
            return
        case "launch": cause = .launch
        case "unready": cause = .notReady
        case "unstopped": cause = .notStopped
        case "interrupted": cause = .interrupted(number)
        case "handoff": cause = .handoff
        default: return nil
        }
        self.init(cause, fields[2])
    }
}

/// Why a generation ended or failed, or that it was recovered.
indirect enum GenerationOutcome: Sendable, Equatable {
    /// It has neither ended nor failed.
    case none
    /// The registry was lost; the kernel still knew its listeners.
    case recovered
    /// The generation with this label took over.
    case replaced(by: ByteString)
    /// The command with this name ended it.
    case ended(by: ByteString)
    /// A copy failed; nil: no single copy did.
    case failed(copy: Int?, EndReason)
    /// All copies ended before it could take over.
    case copiesEnded
    /// Its coordinator was killed before the cutover.
    case orphaned
    /// Only some of its copies were started in time.
    case incomplete(present: Int, wanted: Int)
    /// Its supervisor did not start a single copy in time.
    case notStarted
    /// A text that an earlier version wrote.
    case other(ByteString)

    /// Empty for `none`.
    var description: ByteString {
        switch self {
        case .none: ""
        case .recovered: "recovered"
        case .replaced(let label): "generation \(label) took over"
        case .ended(let command): "ended by \(command)"
        case .failed(let copy?, let reason): "copy \(copy): \(reason.description)"
        case .failed(nil, let reason): reason.description
        case .copiesEnded: "its copies have ended"
        case .orphaned: "the process that coordinated it was killed"
        case .incomplete(let present, let wanted): "only \(present) of \(wanted) copies were started"
        case .notStarted: "its supervisor has not started it"
        case .other(let text): text
        }
    }

    /// Whether a failure that is seen later replaces it.
    var isVague: Bool {
        switch self {
        case .none, .copiesEnded, .failed(_, .unknown): true
        default: false
        }
    }
}

extension GenerationOutcome {
    /// As the registry keeps it: the case, then its values.
    var fields: [ByteString] {
        switch self {
        case .none: ["none"]
        case .recovered: ["recovered"]
        case .replaced(let label): ["replaced", label]
        case .ended(let command): ["ended", command]
        case .failed(let copy, let reason): ["failed", copy.map { ByteString(decimal: $0) } ?? ""] + reason.fields
        case .copiesEnded: ["copies-ended"]
        case .orphaned: ["orphaned"]
        case .incomplete(let present, let wanted):
            ["incomplete", ByteString(decimal: present), ByteString(decimal: wanted)]
        case .notStarted: ["not-started"]
        case .other(let text): ["other", text]
        }
    }

    init?(fields: [ByteString]) {
        func number(_ index: Int) -> Int { Int(truncatingIfNeeded: fields[index].decimal ?? 0) }
        switch (fields.first, fields.count) {
        case ("none"?, 1): self = .none
        case ("recovered"?, 1): self = .recovered
        case ("replaced"?, 2): self = .replaced(by: fields[1])
        case ("ended"?, 2): self = .ended(by: fields[1])
        case ("failed"?, 5):
            guard let reason = EndReason(fields: Array(fields[2...])) else { return nil }
            self = .failed(copy: fields[1].isEmpty ? nil : number(1), reason)
        case ("copies-ended"?, 1): self = .copiesEnded
        case ("orphaned"?, 1): self = .orphaned
        case ("incomplete"?, 3): self = .incomplete(present: number(1), wanted: number(2))
        case ("not-started"?, 1): self = .notStarted
        case ("other"?, 2): self = .other(fields[1])
        default: return nil
        }
    }
}
