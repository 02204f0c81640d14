/// What `--app` and its options ask for: the generation of a copy, and how it takes over.
final class AppRequest {
    var name: ByteString
    /// Its label; nil: the next number.
    var generation: ByteString?
    /// How many copies make the generation complete: 1…255.
    var copies = 1
    /// Which of them this is: 0…copies-1.
    var copy = 0
    var steering = SteeringChoice.automatic
    /// Nil: the generation's, which is random for a new one.
    var balance: Balance?
    var readiness = Readiness.accept
    var readyTimeout = Milliseconds.seconds(60)
    /// How long the old generation can still get its connections back after the cutover.
    var watch = Milliseconds(0)
    /// The command that checks copies until then; nil: as their readiness was checked.
    var watchCheck: ByteString?
    /// How long copies go on after they got their last new connection, before they are told to stop. Nil: `usualSettle`
    /// where the kernel cannot move handshakes that are under way, otherwise no time.
    var settle: Milliseconds?
    static var usualSettle: Milliseconds { Steering.settleTime(movesQueued: false) }
    /// How long connections of copies may last before these are told to stop.
    var drain = Milliseconds(0)
    var stopSignal: Int32 = 15
    /// Messages that are sent through the Node channel instead, one after the other: JSON, a line each.
    var stopMessages = ByteString()
    /// The time from the stop signal until KILL, for a copy that has not closed its listeners.
    var stopTimeout = Milliseconds.seconds(30)
    /// How many retired generations may finish what they have accepted.
    var keepRetired = 3
    var retiredNice: Int32?
    /// A copy with more bytes than this is slowed down.
    var memoryHigh: UInt64?
    /// The kernel ends a copy with more bytes than this.
    var memoryMax: UInt64?
    /// When all copies together have more bytes than this, the kernel ends one; retired ones first.
    var appMemoryMax: UInt64?
    /// How long another handoff of the same app may take before this one gives up.
    var lockTimeout = Milliseconds.seconds(60)
    /// Nil: `defaultRunDirectory`.
    var runDirectory: ByteString?
    /// Nil: `defaultStateDirectory`.
    var stateDirectory: ByteString?
    /// Gets a newline when the handoff is complete, as s6 expects it.
    var notifyDescriptor: Int32?
    /// Gets the lines that the helper writes.
    var logDescriptor: Int32 = 2
    var verbosity = Verbosity.steps
    /// The live generation that these copies are added to; nil: they may make a new one.
    var joins: UInt64?
    /// Whether the copies are suspended before they take over.
    var isSuspended = false
    /// Whether LISTEN_PID names the copy's process.
    var namesProcess = false
    /// Whether the copy has the library that replaces its bind(2).
    var adopts = false

    init(name: ByteString) { self.name = name }

    var memoryLimits: MemoryLimits { MemoryLimits(high: memoryHigh, max: memoryMax, appMax: appMemoryMax) }

    /// The caller's descriptors that the helper needs.
    var callersDescriptors: [Int32] { [logDescriptor] + (notifyDescriptor.map { [$0] } ?? []) }
}

/// How a copy shows that it can serve.
enum Readiness: Sendable, Equatable {
    /// A connection is taken from the accept queue of every listener.
    case accept
    /// A request is answered as it should be.
    indirect case http(HTTPCheck)
    /// READY=1 comes to a NOTIFY_SOCKET of ours.
    case notify
    /// The program says so through its Node channel.
    case message
    /// The program acknowledges its start as einhorn's workers do.
    case acknowledgement
    /// A newline comes through this descriptor of the target.
    case descriptor(Int32)
    /// This command, run by the shell, exits with 0.
    case command(ByteString)
    /// As soon as it runs.
    case none
}

/// A request over HTTP, and the answer that shows that a copy can serve.
struct HTTPCheck: Sendable, Equatable {
    /// As `--ready` takes it.
    var text: ByteString
    /// The name of the socket.
    var socket: ByteString
    var path: ByteString
    var isTLS = false
    /// Empty: the address of the connection.
    var host = ByteString()
    var lowestStatus: UInt64 = 200
    var highestStatus: UInt64 = 399
    /// The version of the PROXY protocol, whose header goes before the request; 0: without one.
    var proxy: UInt64 = 0
}

/// How much is reported.
enum Verbosity: UInt8, Sendable, Comparable {
    case quiet, steps, everything

    static func < (one: Verbosity, other: Verbosity) -> Bool { one.rawValue < other.rawValue }
}
