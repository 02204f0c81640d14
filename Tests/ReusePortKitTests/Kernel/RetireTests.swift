import CLinux
import Foundation
import Testing

@testable import ReusePortKit

@Suite struct RetireTests {
    let sandbox = Sandbox()

    @Test func signalNamesAndNumbers() {
        let first = __libc_current_sigrtmin()
        let last = __libc_current_sigrtmax()
        for text in ["TERM", "SIGTERM", "term", "sigterm", "15"] as [ByteString] {
            #expect(parseSignal(text) == SIGTERM)
        }
        #expect(parseSignal("HUP") == SIGHUP && parseSignal("USR2") == SIGUSR2 && parseSignal("SYS") == SIGSYS)
        #expect(parseSignal("WINCH") == SIGWINCH && parseSignal("IO") == SIGIO && parseSignal("PWR") == SIGPWR)
        #expect(parseSignal("RTMIN+3") == first + 3 && parseSignal("SIGRTMAX-1") == last - 1)
        #expect(parseSignal("RTMIN") == first && parseSignal("rtmax") == last)
        for number in 1...Int32(64) { #expect(parseSignal(signalName(number)) == number) }
        #expect(signalName(SIGTERM) == "TERM" && signalName(first + 3) == "RTMIN+3" && signalName(32) == "32")
        for text in [
            "", "SIG", "0", "65", "-1", "99999999999999999999", "TERMS", "SIGSIGTERM", "RTMIN+", "RTMIN+31", "RTMAX+1",
            "RTMIN-1", "TERM ", "RTMIN+-1", "xTMIN+1",
        ] as [ByteString] {
            #expect(parseSignal(text) == nil, "\(text.text)")
        }
    }

    @Test func exitsWhenTold() throws {
        let copy = try RetireCopy("obey", in: sandbox)
        let log = StopLog()
        #expect(try copy.isListening)
        #expect(try stop([copy.order(keepsFinishing: false)], sparing: [], report: log.report) == [.exited])
        #expect(try !copy.isListening)
        #expect(log.warnings.isEmpty)
        guard case .told(let name, .signal(SIGTERM)) = log.events.last else {
            return #expect(Bool(false), "\(log.events)")
        }
        #expect(name.description.text.hasPrefix("pid \(copy.process.pid) (python3"))
        #expect(try copy.running!.end().exit == 0)
    }

    @Test(arguments: [true, false]) func ignoresTheSignal(keepsFinishing: Bool) throws {
        let copy = try RetireCopy("ignore", in: sandbox)
        let log = StopLog()
        let order = copy.order(keepsFinishing: keepsFinishing, timeout: Milliseconds(100))
        let outcome = try stop([order], sparing: [], report: log.report)
        #expect(outcome == [.killed(copy.stillListened(Milliseconds(100)))])
        #expect(log.warnings.count == 1)
        #expect(log.warnings.first?.contains("killing pid \(copy.process.pid) (python3") == true)
        #expect(try !copy.isListening && !copy.process.isAlive())
        #expect(try copy.running!.end().status & 0x7F == SIGKILL)
    }

    @Test func closesAndLivesOn() throws {
        let copy = try RetireCopy("finish", in: sandbox)
        let log = StopLog()
        #expect(try stop([copy.order()], sparing: [], report: log.report) == [.retired])
        #expect(try !copy.isListening && copy.process.isAlive())
        #expect(log.warnings.isEmpty)

        // And if it may not, it is killed.
        let order = copy.order(keepsFinishing: false, timeout: Milliseconds(50))
        let overdue = KillReason.Overdue(time: Milliseconds(50), request: .signal(SIGTERM))
        #expect(try stop([order], sparing: [], report: log.report) == [.killed(.stillRan(overdue))])
        #expect(!copy.process.isAlive())
    }

    @Test(arguments: [Transport.unix, .udp]) func otherSockets(kind: Transport) throws {
        let obeys = try RetireCopy("obey", kind, in: sandbox)
        let finishes = try RetireCopy("finish", kind, in: sandbox)
        let ignores = try RetireCopy("ignore", kind, in: sandbox)
        #expect(try obeys.isListening && finishes.isListening && ignores.isListening)
        let orders = [obeys.order(), finishes.order(), ignores.order(timeout: Milliseconds(100))]
        let outcomes = try stop(orders, sparing: [], report: StopLog().report)
        let why = ignores.stillListened(Milliseconds(100))
        // One that closes by ending may be seen before it has ended.
        #expect(outcomes == [.exited, .retired, .killed(why)] || outcomes == [.retired, .retired, .killed(why)])
        #expect(try !obeys.isListening && !finishes.isListening && !ignores.isListening)
    }

    @Test func numberOfAnother() throws {
        let copy = try RetireCopy("ignore", in: sandbox)
        var order = copy.order(nice: 7)
        order.process = ProcessIdentity(pid: copy.process.pid, startTime: copy.process.startTime - 1)
        order.listeners = []
        let before = try priorities(of: copy.process)
        #expect(try stop([order], sparing: [], report: StopLog().report) == [.alreadyGone])
        #expect(copy.process.isAlive())
        #expect(try priorities(of: copy.process) == before)
        // The only signal it gets is the one that follows.
        copy.running!.signal(SIGHUP)
        #expect(try copy.running!.line() == "SIGHUP")
    }

    @Test func alreadyEnded() throws {
        let copy = try RetireCopy("obey", in: sandbox)
        copy.running!.signal(SIGKILL)
        // A zombie first, for its parent does not ask; then nothing.
        try waitUntil("its end") { !copy.process.isAlive() }
        #expect(try stop([copy.order()], sparing: [], report: StopLog().report) == [.alreadyGone])
        _ = try copy.running!.end()
        #expect(try stop([copy.order()], sparing: [], report: StopLog().report) == [.alreadyGone])
    }

    @Test func stoppedCopyIsWoken() throws {
        let copy = try RetireCopy("obey", in: sandbox)
        copy.running!.signal(SIGSTOP)
        try waitUntil("its stop") { try ProcessStatus(of: copy.process.pid).isStopped }
        #expect(try stop([copy.order(keepsFinishing: false)], sparing: [], report: StopLog().report) == [.exited])
    }

    @Test func anyOtherSignal() throws {
        let copy = try RetireCopy("obey", in: sandbox)
        let order = copy.order(keepsFinishing: false, signal: SIGUSR1)
        #expect(try stop([order], sparing: [], report: StopLog().report) == [.exited])
        #expect(try copy.running!.end().output.text.split(separator: "\n").dropFirst() == ["SIGUSR1"])
    }

    @Test func lowered() throws {
        let copy = try RetireCopy("finish", in: sandbox)
        let before = try oomScore(copy)
        let log = StopLog()
        #expect(try stop([copy.order(nice: 7)], sparing: [], report: log.report) == [.retired])
        let nice = try priorities(of: copy.process)
        #expect(!nice.isEmpty && nice.allSatisfy { $0 == 7 })
        #expect(try oomScore(copy) == min(1000, before + 500))
        // Once more, so that it comes to the limit.
        #expect(try stop([copy.order()], sparing: [], report: log.report) == [.retired])
        #expect(try oomScore(copy) == 1000)
        #expect(
            log.events.allSatisfy {
                switch $0 {
                case .keepsNiceValue, .keepsMemoryScore: false
                default: true
                }
            }, "\(log.events)")
    }

    private func oomScore(_ copy: RetireCopy) throws -> Int {
        let text = try String(contentsOfFile: "/proc/\(copy.process.pid)/oom_score_adj", encoding: .utf8)
        return try #require(Int(text.split(separator: "\n")[0]))
    }

    /// It ends, and a child that has inherited the listener does not.
    @Test(arguments: [true, false]) func childKeepsTheListener(keepsFinishing: Bool) throws {
        let copy = try RetireCopy("fork", in: sandbox)
        let child = try ProcessIdentity(of: copy.other)
        let log = StopLog()
        let order = copy.order(keepsFinishing: keepsFinishing, timeout: .seconds(3))
        let why = KillReason.descendantsListened([copy.label])
        #expect(try stop([order], sparing: [], report: log.report) == [.killed(why)])
        #expect(try !copy.isListening && !child.isAlive())
        #expect(log.warnings.count == 1)
        #expect(log.warnings.first?.contains("killing pid \(child.pid) (python3") == true)
    }

    /// The same with both refusing to end.
    @Test func copyAndChildAreKilled() throws {
        let copy = try RetireCopy("fork", in: sandbox)
        let child = try ProcessIdentity(of: copy.other)
        // Nothing that either does anything about.
        let order = copy.order(timeout: Milliseconds(100), signal: SIGCHLD)
        let log = StopLog()
        let why = copy.stillListened(Milliseconds(100), after: SIGCHLD)
        #expect(try stop([order], sparing: [], report: log.report) == [.killed(why)])
        #expect(try !copy.isListening && !child.isAlive() && !copy.process.isAlive())
        #expect(log.warnings.count == 2)
    }

    /// A process that is no descendant any more, but the same user's, is an heir; it may listen again and again.
    @Test(arguments: ["daemon", "again"]) func heirOfTheSameUser(mode: String) throws {
        let copy = try RetireCopy(mode, in: sandbox)
        let other = try ProcessIdentity(of: copy.other)
        let log = StopLog()
        let order = copy.order(timeout: Milliseconds(200))
        #expect(try stop([order], sparing: [], report: log.report) == [.killed(.descendantsListened([copy.label]))])
        #expect(try !copy.isListening && !other.isAlive())
        #expect(log.warnings.contains { $0.contains("killing pid \(other.pid) (python3") }, "\(log.warnings)")
    }

    /// Another user's process is left alone, but without the listener.
    @Test func anotherUserKeepsTheListener() throws {
        try Tool.requireRoot()
        let copy = try RetireCopy("foreign", in: sandbox)
        let other = try ProcessIdentity(of: copy.other)
        let log = StopLog()
        let order = copy.order(timeout: Milliseconds(200))
        #expect(try stop([order], sparing: [], report: log.report) == [.exited])
        #expect(try !copy.isListening && other.isAlive())
        let address = copy.listener.address.description.text
        #expect(log.warnings.count == 1)
        let start = "closing http \(address), which pid \(copy.process.pid) (python3"
        #expect(log.warnings.first?.hasPrefix(start) == true)
        #expect(log.warnings.first?.contains("has left to pid \(other.pid) (python3") == true)
        kill(other.pid, SIGKILL)
    }

    /// What a process that ended by itself has left behind is taken away at once, and told to stop.
    @Test(arguments: ["wrapper", "fork"]) func foundEnded(mode: String) throws {
        let copy = try RetireCopy(mode, in: sandbox)
        let other = try ProcessIdentity(of: copy.other)
        copy.running!.signal(SIGKILL)
        try waitUntil("its end") { !copy.process.isAlive() }
        #expect(try copy.isListening)
        let log = StopLog()
        var order = copy.order(timeout: Milliseconds(300))
        order.user = geteuid()
        #expect(try stop([order], sparing: [], report: log.report) == [.alreadyGone])
        #expect(try !copy.isListening && !other.isAlive())
        #expect(log.warnings.first?.hasPrefix("closing http") == true)
        #expect(log.warnings.count == (mode == "fork" ? 2 : 1), "only who does not obey is killed")
    }

    /// A wrapper does not hand the signal on, so its command gets it from us; one that does is trusted to.
    @Test(arguments: ["wrapper", "forward"]) func commandOfAWrapper(mode: String) throws {
        let copy = try RetireCopy(mode, in: sandbox)
        let log = StopLog()
        #expect(try stop([copy.order(keepsFinishing: false)], sparing: [], report: log.report) == [.exited])
        #expect(try !copy.isListening)
        #expect(log.warnings.isEmpty, "\(log.warnings)")
        let lines = try copy.running!.end().output.text.split(separator: "\n").dropFirst()
        #expect(lines.sorted() == ["SIGTERM", "child SIGTERM"], "once each")
        let isHandedOn = log.events.contains { if case .handedOn = $0 { true } else { false } }
        #expect(isHandedOn == (mode == "wrapper"))
    }

    /// A coordinator, or another copy, holds the listener for a reason of its own.
    @Test func sparedProcess() throws {
        let copy = try RetireCopy("daemon", in: sandbox)
        let other = try ProcessIdentity(of: copy.other)
        var order = copy.order(timeout: Milliseconds(200))
        order.spared = [other]
        #expect(try stop([order], sparing: [], report: StopLog().report) == [.exited])
        #expect(try !copy.isListening && other.isAlive())
        kill(other.pid, SIGKILL)
    }

    /// A group, which a hostile process cannot leave, is killed as a whole.
    @Test func groupIsKilled() throws {
        let stage = try Stage(.privileged)
        let groups = try MemoryGroups(stage, limits: false)
        guard groups.version == .second else { try Test.cancel("version 1 has no cgroup.kill") }
        let copy = try RetireCopy("ignore", in: sandbox)
        let path = "\(groups.place)/a.0.\(copy.process.pid)"
        mkdir(path, 0o755)
        defer { _ = try? waitUntil("it is removed") { rmdir(path) == 0 } }
        let group = CopyGroup(
            group: ControlGroup(version: .second, path: ByteString(path)), max: nil, appMax: nil, isLimited: false)
        try joinGroup(group, copy.process.pid)
        #expect(processes(of: group.group) == [copy.process])
        #expect(killAll(in: group.group))
        try waitUntil("its end") { !copy.process.isAlive() }
        #expect(!killAll(in: ControlGroup(version: .second, path: "/tmp/a.0.1")), "only groups, and only of copies")
    }

    @Test func severalAtOnce() throws {
        let modes = ["obey", "finish", "ignore", "finish", "obey"]
        var copies: [RetireCopy] = []
        for mode in modes { copies.append(try RetireCopy(mode, in: sandbox)) }
        var orders = copies.map { $0.order() }
        orders[0].keepsFinishing = false
        orders[2].stopTimeout = Milliseconds(300)
        orders[4].keepsFinishing = false
        let outcomes = try stop(orders, sparing: [], report: StopLog().report)
        let why = copies[2].stillListened(Milliseconds(300))
        #expect(outcomes == [.exited, .retired, .killed(why), .retired, .exited])
        for copy in copies { #expect(try !copy.isListening) }
        #expect(copies.map { $0.process.isAlive() } == [false, true, false, true, false])
    }

    @Test func noProc() throws {
        let copy = try RetireCopy("obey", in: sandbox)
        #expect(throws: Failure.self) {
            _ = try stop(
                [copy.order()], sparing: [], in: ProcFileSystem(root: ByteString(sandbox.path)),
                report: StopLog().report)
        }
        #expect(copy.process.isAlive())
    }

    @Test func nothingToStop() throws {
        #expect(try stop([], sparing: [], report: StopLog().report) == [])
    }
}
