/// Why a copy or its descendants were killed.
enum KillReason: Sendable, Equatable {
    /// It had closed its listeners, but still ran at the end of its stop timeout.
    case stillRan(Overdue)
    /// It still had these listeners at the end of its stop timeout.
    case stillListened([ListenerLabel], Overdue)
    /// It had ended, but processes that it had started still had these listeners.
    case descendantsListened([ListenerLabel])

    /// How long ago it had been told to stop, and how.
    struct Overdue: Sendable, Equatable {
        let time: Milliseconds
        let request: StopRequest
    }
}

/// The request that tells a copy to stop.
enum StopRequest: Sendable, Equatable {
    case signal(Int32)
    /// JSON, through its Node channel.
    case message(ByteString)
}

/// A listener as messages name it: `http 127.0.0.1:80`.
struct ListenerLabel: Sendable, Equatable {
    let name: ByteString
    let address: ByteString
}

// MARK: - In the registry

extension KillReason {
    /// As the registry keeps it; `init?(fields:)` reads it.
    var fields: [ByteString] {
        switch self {
        case .stillRan(let overdue): ["ran"] + overdue.fields
        case .stillListened(let listeners, let overdue): ["listened"] + overdue.fields + fieldsOf(listeners)
        case .descendantsListened(let listeners): ["descendants"] + fieldsOf(listeners)
        }
    }

    init?(fields: [ByteString]) {
        switch fields.first {
        case "ran"?:
            guard fields.count == 4, let overdue = Overdue(fields: fields[1...]) else { return nil }
            self = .stillRan(overdue)
        case "listened"?:
            guard fields.count >= 4, let overdue = Overdue(fields: fields[1..<4]),
                let listeners = labels(from: fields[4...])
            else { return nil }
            self = .stillListened(listeners, overdue)
        case "descendants"?:
            guard let listeners = labels(from: fields[1...]) else { return nil }
            self = .descendantsListened(listeners)
        default: return nil
        }
    }
}

extension KillReason.Overdue {
    fileprivate var fields: [ByteString] {
        switch request {
        case .signal(let number): [ByteString(decimal: time.count), "signal", ByteString(decimal: number)]
        case .message(let text): [ByteString(decimal: time.count), "message", text]
        }
    }

    fileprivate init?(fields: ArraySlice<ByteString>) {
        let fields = Array(fields)
        guard let time = fields[0].decimal else { return nil }
        self.time = Milliseconds(time)
        switch fields[1] {
        case "signal":
            guard let number = fields[2].decimal, number <= 64 else { return nil }
            request = .signal(Int32(number))
        case "message": request = .message(fields[2])
        default: return nil
        }
    }
}

private func fieldsOf(_ listeners: [ListenerLabel]) -> [ByteString] { listeners.flatMap { [$0.name, $0.address] } }

private func labels(from fields: ArraySlice<ByteString>) -> [ListenerLabel]? {
    let fields = Array(fields)
    if fields.isEmpty || fields.count % 2 != 0 { return nil }
    var result: [ListenerLabel] = []
    var index = 0
    while index < fields.count {
        result.append(ListenerLabel(name: fields[index], address: fields[index + 1]))
        index += 2
    }
    return result
}

// MARK: - In words

extension KillReason {
    /// `it still listened on http 127.0.0.1:80 30s after TERM`
    var description: ByteString {
        switch self {
        case .stillRan(let overdue): "it still ran \(overdue.description)"
        case .stillListened(let listeners, let overdue):
            "it still listened on \(described(listeners)) \(overdue.description)"
        case .descendantsListened(let listeners):
            "it had ended, but processes that it had started still listened on \(described(listeners))"
        }
    }
}

extension KillReason.Overdue {
    /// `30s after TERM`
    fileprivate var description: ByteString { "\(time.description) after \(request.description)" }
}

extension StopRequest {
    /// `TERM`, `"shutdown"`
    var description: ByteString {
        switch self {
        case .signal(let number): signalName(number)
        case .message(let text): text
        }
    }
}

/// `http 127.0.0.1:80, admin /run/web/admin.sock`
func described(_ listeners: [ListenerLabel]) -> ByteString {
    joined(listeners.map { "\($0.name) \($0.address)" }, by: ", ")
}
