import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// A server that does with TERM what its first argument says, and tells of each signal it gets.
let retireServer = """
    import os, signal, socket, struct, sys, time
    mode, kind, place = sys.argv[1], sys.argv[2], sys.argv[3]
    signals = open(sys.argv[4], 'a', 1) if len(sys.argv) > 4 else sys.stdout
    if kind == 'unix':
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(place)
    else:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == 'tcp' else socket.SOCK_DGRAM)
        listener.bind(('127.0.0.1', 0))
    if kind != 'udp':
        listener.listen(16)
    cookie = struct.unpack('=Q', listener.getsockopt(socket.SOL_SOCKET, 57, 8))[0]
    port = 0 if kind == 'unix' else listener.getsockname()[1]

    def on_signal(number, frame):
        print(signal.Signals(number).name, file=signals, flush=True)
        if number == signal.SIGCONT:
            return
        if mode == 'forward':
            os.kill(other, signal.SIGTERM)
        if mode != 'ignore' and mode != 'finish':
            os._exit(0)
        if mode == 'finish':
            listener.close()

    def child_signal(number, frame):
        print('child', signal.Signals(number).name, file=signals, flush=True)
        if mode == 'forward':
            time.sleep(0.1)
        os._exit(0)

    # What is done with the listener after the copy: nothing; it is closed with TERM; it listens again and again.
    if mode in ('fork', 'daemon', 'foreign', 'again', 'wrapper', 'forward'):
        back, there = os.pipe()
        if os.fork() == 0:
            if mode in ('daemon', 'foreign', 'again') and os.fork() != 0:
                os._exit(0)
            if mode == 'foreign':
                os.setuid(65534)
            signal.signal(signal.SIGTERM, child_signal if mode in ('wrapper', 'forward') else signal.SIG_IGN)
            os.write(there, b'%d\\n' % os.getpid())
            while True:
                if mode == 'again':
                    try:
                        listener.listen(1)
                    except OSError:
                        pass
                    time.sleep(0.001)
                else:
                    signal.pause()
        other = int(os.read(back, 20))
        if mode in ('daemon', 'foreign', 'again'):
            os.wait()
    else:
        other = 0
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGCONT, signal.SIGHUP):
        signal.signal(number, on_signal)
    print('ready', os.getpid(), port, cookie, other, file=signals, flush=True)
    while True:
        signal.pause()
    """

/// A copy for a test, listening.
struct RetireCopy {
    let process: ProcessIdentity
    let listener: ListenerIdentity
    /// A process it has left its listener to.
    let other: Int32
    /// Nil if somebody else runs it.
    let running: Running?

    init(_ mode: String, _ kind: Transport = .tcp, in sandbox: Sandbox) throws {
        let script = sandbox["server.py"]
        if access(script, F_OK) != 0 { sandbox.write("server.py", retireServer) }
        let place = sandbox["\(mode).sock"]
        let words = ["-u", script, mode, kind.name.text, place].map { ByteString($0) }
        let running = try sandbox.start(program: try Tool.require("python3"), words)
        guard let line = try running.line() else {
            throw Unavailable(description: "no server: \(try running.end().errors)")
        }
        try self.init(line: line, kind, place, running)
    }

    /// From the line of a server that somebody else runs.
    init(line: String, _ kind: Transport = .tcp, _ place: String = "", _ running: Running? = nil) throws {
        let words = line.split(separator: " ")
        guard words.count == 5, words[0] == "ready" else { throw Unavailable(description: line) }
        process = try ProcessIdentity(of: Int32(words[1])!)
        listener = ListenerIdentity(
            name: "http", transport: kind,
            address: kind == .unix ? .unix(ByteString(place)) : .ipv4(0x7F00_0001, port: UInt16(words[2])!),
            isDualStack: false, cookie: UInt64(words[3])!)
        other = Int32(words[4])!
        self.running = running
    }

    /// A long time unless it is to be killed.
    func order(
        keepsFinishing: Bool = true, timeout: Milliseconds = .seconds(40), signal: Int32 = SIGTERM, nice: Int32? = nil,
        supervisor: Supervisor? = nil
    ) -> StopOrder {
        StopOrder(
            process: process, listeners: [listener], supervisor: supervisor, stopSignal: signal, stopTimeout: timeout,
            keepsFinishing: keepsFinishing, nice: nice)
    }

    var isListening: Bool {
        get throws { try !openListeners([listener]).isEmpty }
    }

    var label: ListenerLabel { ListenerLabel(name: "http", address: listener.address.description) }

    func stillListened(_ time: Milliseconds, after signal: Int32 = SIGTERM) -> KillReason {
        .stillListened([label], KillReason.Overdue(time: time, request: .signal(signal)))
    }
}

/// Collects what `stop` reports.
final class StopLog: @unchecked Sendable {
    private let lock = NSLock()
    private var reported: [StopEvent] = []

    func report(_ event: StopEvent) { lock.withLock { reported.append(event) } }

    var events: [StopEvent] { lock.withLock { reported } }
    var warnings: [String] { events.filter { $0.isWarning }.map { $0.description.text } }
}

/// Something that another thread does meanwhile.
final class Meanwhile<Result: Sendable>: @unchecked Sendable {
    private let done = DispatchSemaphore(value: 0)
    private var result: Swift.Result<Result, any Error>?

    init(_ body: @escaping @Sendable () throws -> Result) {
        Thread.detachNewThread {
            self.result = Swift.Result(catching: body)
            self.done.signal()
        }
    }

    func value() throws -> Result {
        guard done.wait(timeout: .now() + 60) == .success else { throw TimedOut(what: "a thread", seen: "nothing") }
        return try result!.get()
    }
}

/// A service directory under a real supervisor.
final class RetireService {
    enum Kind: String, CaseIterable {
        case runit, s6
    }

    let kind: Kind
    let sandbox: Sandbox
    let directory: String
    let supervisor: Running
    /// The server's lines: one `ready` for each start, and its signals.
    let signals: String

    init(_ kind: Kind, _ mode: String, in sandbox: Sandbox) throws {
        self.kind = kind
        self.sandbox = sandbox
        directory = sandbox.makeDirectory("web-blue")
        signals = sandbox["signals"]
        sandbox.write("server.py", retireServer)
        let python = try Tool.require("python3")
        sandbox.write(
            "web-blue/run", "#!/bin/sh\ncd /\nexec \(python) -u \(sandbox.path)/server.py \(mode) tcp - \(signals)\n",
            mode: 0o755)
        let program = try Tool.require(kind == .runit ? "runsv" : "s6-supervise")
        supervisor = try sandbox.start(program: program, [ByteString(directory)])
    }

    /// s6 starts its services in sessions of their own, which do not end with its process group.
    deinit {
        supervisor.kill()
        for line in starts {
            guard let pid = line.split(separator: " ").dropFirst().first.flatMap({ Int32($0) }),
                let words = try? commandLine(of: pid), words.contains(ByteString("\(sandbox.path)/server.py"))
            else { continue }
            kill(pid, SIGKILL)
        }
    }

    var name: Supervisor { kind == .runit ? .runit(ByteString(directory)) : .s6(ByteString(directory)) }

    var lines: [String] {
        ((try? String(contentsOfFile: signals, encoding: .utf8)) ?? "").split(separator: "\n").map { String($0) }
    }

    var starts: [String] { lines.filter { $0.hasPrefix("ready") } }

    func copy(_ number: Int = 1) throws -> RetireCopy {
        try waitUntil("start \(number)") { starts.count >= number }
        return try RetireCopy(line: starts[number - 1])
    }

    /// `run: …, want down`, `down: …`, `up (pid …`.
    func status() throws -> String {
        let words =
            kind == .runit
            ? [try Tool.require("sv"), "status", directory] : [try Tool.require("s6-svstat"), directory]
        return try Sandbox.plainRun(words).output.text
    }

    func start() throws {
        _ = try Sandbox.plainRun(
            kind == .runit
                ? [try Tool.require("sv"), "start", directory] : [try Tool.require("s6-svc"), "-u", directory])
    }

    var isDown: Bool {
        get throws { try status().hasPrefix("down") }
    }

    /// Whether a command waits to be read.
    var hasPendingCommand: Bool {
        let file = clinux_open("\(directory)/supervise/control", O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0)
        defer { close(file) }
        var count: Int32 = 0
        withUnsafeMutablePointer(to: &count) {
            _ = clinux_syscall(Int(SYS_ioctl), Int(file), Int(FIONREAD), Int(bitPattern: $0), 0, 0, 0)
        }
        return count > 0
    }

    /// Ends the supervisor, and whatever it may start until then.
    func end() throws {
        supervisor.signal(SIGTERM)
        _ = try supervisor.end()
    }
}
