import CLinux
import Testing

@testable import ReusePortKit

/// A process that stands for a copy: a script run by the shell or by Python, with descriptors at numbers of our choice.
/// It has a process group of its own, all of which ends with this object.
final class ReadyCopy: Sendable {
    let handle: ProcessHandle
    var pid: Int32 { handle.identity.pid }

    /// `descriptors`: the number in the process, and what is to be there.
    init(shell script: String, environment: [String] = [], descriptors: [Int32: Int32] = [:]) throws {
        handle = try Self.start(["/bin/sh", "-c", script], environment, descriptors)
    }

    init(python script: String, environment: [String] = [], descriptors: [Int32: Int32] = [:]) throws {
        handle = try Self.start([try Tool.require("python3"), "-c", script], environment, descriptors)
    }

    deinit {
        _ = kill(-pid, SIGKILL)
        var status: Int32 = 0
        _ = waitpid(pid, &status, 0)
    }

    private static func start(
        _ command: [String], _ environment: [String], _ descriptors: [Int32: Int32]
    ) throws -> ProcessHandle {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        // Out of the way first: where one comes from may be where another goes to.
        var sources = OwnedArray<Descriptor>()
        for (place, source) in descriptors {
            let copy = Descriptor(owning: try checked(clinux_fcntl(source, F_DUPFD_CLOEXEC, 200)))
            posix_spawn_file_actions_adddup2(&actions, copy.number, place)
            sources.append(copy)
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // Signals as they are by default, whatever the tests are run by has made of them.
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        let arguments = CStrings(command.map { ByteString($0) })
        let variables = CStrings(callersEnvironment() + environment.map { ByteString($0) })
        var pid: Int32 = 0
        let code = posix_spawn(&pid, command[0], &actions, &attributes, arguments.pointer, variables.pointer)
        if code != 0 { throw Errno(rawValue: code) }
        return try ProcessHandle(to: pid)
    }
}

/// A listener of this process, for a copy or for the test itself.
struct ReadyListener: ~Copyable {
    let socket: Descriptor
    let identity: ListenerIdentity

    init(_ kind: ReadyAddress, name: ByteString = "web") throws {
        let own = try Self.open(kind)
        let found = try localAddress(of: own)
        let address = try #require(found)
        let cookie = try socketCookie(of: own)
        identity = ListenerIdentity(
            name: name, transport: address.port == nil ? .unix : .tcp, address: address,
            isDualStack: kind == .dualStack, cookie: cookie)
        socket = own
    }

    private static func open(_ kind: ReadyAddress) throws -> Descriptor {
        let address = kind.address
        let own = try ReusePortKit.socket(family: address.family, type: Int32(SOCK_STREAM.rawValue))
        if kind == .dualStack { try setOption(own, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0) }
        if kind == .device { try setOption(own, SOL_SOCKET, SO_BINDTODEVICE, "lo") }
        try bind(own, to: address)
        try listen(own, backlog: 16)
        return own
    }

    deinit { if let path = identity.address.path { path.withCString { _ = CLinux.unlink($0) } } }

    /// A non-blocking connection, made or being made.
    func connect() throws(Failure) -> Descriptor { try connectToListener(identity) }
}

func connectToListener(_ listener: ListenerIdentity) throws(Failure) -> Descriptor {
    var address = listener.address
    if listener.isDualStack, let port = address.port { address = .ipv4(0x7F00_0001, port: port) }
    do throws(Errno) {
        let type = Int32(SOCK_STREAM.rawValue)
        let probe = try socket(family: address.family, type: type, flags: Int32(SOCK_NONBLOCK.rawValue))
        do throws(Errno) {
            try connect(probe, to: address)
        } catch  where error.rawValue == EINPROGRESS {
        }
        return probe
    } catch {
        throw Failure("connect to", address.description, error)
    }
}

enum ReadyAddress: CaseIterable {
    case v4, v6, dualStack, device, unix

    /// Port 0, or a new name.
    var address: SocketAddress {
        switch self {
        case .v4, .device: .ipv4(0x7F00_0001, port: 0)
        case .v6: .ipv6(high: 0, low: 1, port: 0, scope: 0)
        case .dualStack: .ipv6(high: 0, low: 0, port: 0, scope: 0)
        case .unix: .unix("/tmp/reuseport-exec-ready.\(getpid()).\(MonotonicClock.microseconds).sock")
        }
    }
}

/// A log that can be read afterwards.
struct ReadyLog: ~Copyable {
    let log: LogLines
    var descriptor: Int32 { writer.number }
    private let writer: Descriptor
    private let reader: Descriptor

    init() throws {
        var ends: [Int32] = [-1, -1]
        try checked(pipe2(&ends, O_CLOEXEC | O_NONBLOCK))
        reader = Descriptor(owning: ends[0])
        writer = Descriptor(owning: ends[1])
        log = LogLines(descriptor: ends[1], verbosity: .everything, subject: "test")
    }

    consuming func text() -> String {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = read(reader.number, &buffer, buffer.count)
        return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }
}

let readySilence = LogLines(descriptor: -1, verbosity: .quiet, subject: "")

/// What the wait fails with, as it is shown; nil if the copy is ready.
func readyProblem(
    _ readiness: Readiness, _ copy: ReadyCopy, channel: borrowing ReadinessChannel, listeners: [ListenerIdentity] = [],
    within time: Milliseconds = .seconds(60), log: LogLines = readySilence
) -> String? {
    readyProblem(readiness, copy, channel, listeners, time, log) { (index: Int) throws(Failure) in
        try connectToListener(listeners[index])
    }
}

/// For forms that need no channel.
func readyProblem(
    _ readiness: Readiness, _ copy: ReadyCopy, listeners: [ListenerIdentity] = [],
    within time: Milliseconds = .seconds(60), log: LogLines = readySilence
) throws -> String? {
    let channel = try ReadinessChannel.make(readiness)
    return readyProblem(readiness, copy, channel: channel, listeners: listeners, within: time, log: log)
}

func readyProblem(
    _ readiness: Readiness, _ copy: ReadyCopy, _ channel: borrowing ReadinessChannel, _ listeners: [ListenerIdentity],
    _ time: Milliseconds, _ log: LogLines, connect: (Int) throws(Failure) -> Descriptor
) -> String? {
    let check = ReadinessCheck(
        readiness: readiness, listeners: listeners, deadline: ReusePortKit.Deadline(after: time),
        report: { log.detail($0.description) })
    do throws(NotReady) {
        try awaitReadiness(check, of: copy.handle, channel: channel, connect: connect)
        return nil
    } catch {
        if case .failed(let failure) = error { return failure.message.text }
        return error.description.text
    }
}
