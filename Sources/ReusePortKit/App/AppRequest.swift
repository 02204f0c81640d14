/// What is asked for with `--app`: which generation this copy belongs to, and how it takes over.
public struct AppRequest: Sendable, Equatable {
    public var name: ByteString
    /// Nil: the next number.
    public var generation: ByteString?
    /// How many copies make the generation complete: 1…255.
    public var copies = 1
    /// Which of them this is: 0…copies-1.
    public var copy = 0
    public var steering = SteeringChoice.automatic
    public var balance = Balance.random
    public var readiness = Readiness.accept
    public var readyTimeout = Milliseconds.seconds(60)
    /// How long connections that were under way at the cutover may still arrive at the old listeners, where the kernel
    /// cannot move them.
    public var settle = Milliseconds(200)
    public var stopSignal: Int32 = 15
    /// From the stop signal until KILL, for a copy that has not closed its listeners.
    public var stopTimeout = Milliseconds.seconds(30)
    /// How many retired generations may finish what they are at.
    public var keepRetired = 3
    public var retiredNice: Int32?
    /// How long another handoff of the same app may take before this one gives up.
    public var lockTimeout = Milliseconds.seconds(60)
    /// Nil: the usual place.
    public var runDirectory: ByteString?
    /// Written to when the handoff is complete: a newline, as s6 has it.
    public var notifyDescriptor: Int32?
    /// Where the helper's lines go.
    public var logDescriptor: Int32 = 2
    public var verbosity = Verbosity.steps

    public init(name: ByteString) { self.name = name }

    /// What the helper needs of what the caller has opened.
    var callersDescriptors: [Int32] { [logDescriptor] + (notifyDescriptor.map { [$0] } ?? []) }
}

/// How a new connection's listener is chosen.
public enum SteeringChoice: UInt8, Sendable, CaseIterable {
    case automatic, ebpf, cbpf, off

    public var name: ByteString {
        switch self {
        case .automatic: "auto"
        case .ebpf: "ebpf"
        case .cbpf: "cbpf"
        case .off: "off"
        }
    }
}

/// How it is known that a copy can serve.
public enum Readiness: Sendable, Equatable {
    /// A connection is taken from the accept queue of every listener.
    case accept
    /// A request over the socket of this name is answered with 2xx or 3xx.
    case http(socket: ByteString, path: ByteString)
    /// READY=1 comes to a NOTIFY_SOCKET of ours.
    case notify
    /// A newline comes through this descriptor of the target.
    case descriptor(Int32)
    /// This command, run by the shell, exits with 0.
    case command(ByteString)
    /// As soon as it runs.
    case none
}

/// How much the helper says.
public enum Verbosity: UInt8, Sendable, Comparable {
    case quiet, steps, everything

    public static func < (one: Verbosity, other: Verbosity) -> Bool { one.rawValue < other.rawValue }
}

/// A listener of a copy, as the kernel knows it.
public struct ListenerIdentity: Hashable, Sendable {
    /// The socket's name in the app.
    public var name: ByteString
    public var transport: Transport
    /// Where it is bound; of a Unix socket the path to which it was bound first.
    public var address: SocketAddress
    public var isDualStack: Bool
    public var cookie: UInt64

    public init(
        name: ByteString, transport: Transport, address: SocketAddress, isDualStack: Bool, cookie: UInt64
    ) {
        self.name = name
        self.transport = transport
        self.address = address
        self.isDualStack = isDualStack
        self.cookie = cookie
    }
}
