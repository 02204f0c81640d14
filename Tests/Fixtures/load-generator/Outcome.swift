import ReusePortKit

/// The outcome of a request.
enum Outcome: Int, CaseIterable {
    case ok
    /// Nobody listens at the address: ECONNREFUSED, or ENOENT for a path.
    case refused
    /// ECONNRESET or EPIPE before the answer was complete.
    case reset
    /// The connection ended before the answer was complete.
    case short
    case timedOut
    /// A complete answer that is not 2xx, or not HTTP.
    case badStatus
    /// A failure of the load generator, such as no free descriptors or ports.
    case other
    /// The server closed a kept-alive connection just as the request was sent, and answered nothing. HTTP lets clients
    /// repeat the request on a new connection. This client does, so the request is not lost.
    case idleRace

    var word: ByteString {
        switch self {
        case .ok: return "ok"
        case .refused: return "refused"
        case .reset: return "reset"
        case .short: return "short"
        case .timedOut: return "timed-out"
        case .badStatus: return "bad-status"
        case .other: return "other"
        case .idleRace: return "idle-race"
        }
    }

    var key: ByteString {
        switch self {
        case .timedOut: return "timed_out"
        case .badStatus: return "bad_status"
        case .idleRace: return "idle_races"
        default: return word
        }
    }

    var isLoss: Bool { self != .ok && self != .idleRace }
}
