/// What is asked for with `--app`: which generation this copy belongs to, and how it takes over.
struct AppRequest: Sendable, Equatable {
    var name: ByteString
    /// Nil: the next number.
    var generation: ByteString?
    /// How many copies make the generation complete: 1…255.
    var copies = 1
    /// Which of them this is: 0…copies-1.
    var copy = 0
    var steering = SteeringChoice.automatic
    /// Nil: that of the generation; of a new one, random.
    var balance: Balance?
    var readiness = Readiness.accept
    var readyTimeout = Milliseconds.seconds(60)
    /// How long copies go on after they got their last new connection, before they are told to stop. Nil: `usualSettle`
    /// where the kernel cannot move handshakes that are under way, and not at all where it does.
    var settle: Milliseconds?
    static var usualSettle: Milliseconds { Steering.settleTime(movesQueued: false) }
    var stopSignal: Int32 = 15
    /// What is sent through the Node channel instead, one after the other: JSON, a line each.
    var stopMessages = ByteString()
    /// From the stop signal until KILL, for a copy that has not closed its listeners.
    var stopTimeout = Milliseconds.seconds(30)
    /// How many retired generations may finish what they are at.
    var keepRetired = 3
    var retiredNice: Int32?
    /// From here on a copy is slowed down; bytes.
    var memoryHigh: UInt64?
    /// Beyond this the kernel ends it.
    var memoryMax: UInt64?
    /// Beyond this, all copies taken together, the kernel ends one; retired ones first.
    var appMemoryMax: UInt64?
    /// How long another handoff of the same app may take before this one gives up.
    var lockTimeout = Milliseconds.seconds(60)
    /// Nil: the usual place.
    var runDirectory: ByteString?
    /// Written to when the handoff is complete: a newline, as s6 has it.
    var notifyDescriptor: Int32?
    /// Where the helper's lines go.
    var logDescriptor: Int32 = 2
    var verbosity = Verbosity.steps
    /// The live generation that these copies are for, and no other.
    var joins: UInt64?
    /// Whether the generation is stopped before it takes over, or told to wait.
    var isSuspended = false

    init(name: ByteString) { self.name = name }

    var memoryLimits: MemoryLimits { MemoryLimits(high: memoryHigh, max: memoryMax, appMax: appMemoryMax) }

    /// The caller's descriptors that the helper needs.
    var callersDescriptors: [Int32] { [logDescriptor] + (notifyDescriptor.map { [$0] } ?? []) }
}

/// How it is known that a copy can serve.
enum Readiness: Sendable, Equatable {
    /// A connection is taken from the accept queue of every listener.
    case accept
    /// A request over the socket of this name is answered with 2xx or 3xx.
    case http(socket: ByteString, path: ByteString)
    /// READY=1 comes to a NOTIFY_SOCKET of ours.
    case notify
    /// The program says so through its Node channel.
    case message
    /// A newline comes through this descriptor of the target.
    case descriptor(Int32)
    /// This command, run by the shell, exits with 0.
    case command(ByteString)
    /// As soon as it runs.
    case none
}

/// How much the helper says.
enum Verbosity: UInt8, Sendable, Comparable {
    case quiet, steps, everything

    static func < (one: Verbosity, other: Verbosity) -> Bool { one.rawValue < other.rawValue }
}
