import Foundation
import Testing

@testable import ReusePortKit

/// A copy is its process and its listeners, which others may hold when the process has gone.
@Suite struct HeirTests {
    private func heir(_ stage: Stage, _ kind: ByteString, _ label: ByteString = "1") throws -> [ByteString] {
        try stage.python("heir.py", [kind, "{fd:http}", label])
    }

    /// Ends the process of a copy as a crash does.
    private func crash(_ stage: Stage, _ pid: pid_t) throws {
        kill(pid, SIGKILL)
        try waitUntil("its end") { hasEnded(pid) }
    }

    private func count(_ stage: Stage) throws -> String {
        try stage.verb("count", ["web"]).output.text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// How many of so many requests are not answered.
    private func unanswered(_ stage: Stage, of count: Int = 16) throws -> Int {
        let requests = try (0..<count).map { _ in try stage.request(timeout: "5s") }
        return try requests.count { try $0.end().exit != 0 }
    }

    private func isListening(_ stage: Stage) throws -> Bool {
        try !internetSockets(.tcp, states: .listening, localPort: stage.port).isEmpty
    }

    @Test(arguments: Level.allCases)
    func crashedWithAChild(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", copies: 2, command: try heir(stage, "leak"))
        let pids = try stage.pids()
        try crash(stage, pids[0])
        let holder = try #require(stage.marked().map(\.pid).first { parent(of: $0) == 1 && !pids.contains($0) })
        // Who looks takes it out.
        let text = try stage.verb("state", ["web"]).output.text
        #expect(text.contains("1/2 copies serve"), "\(text)")
        #expect(text.contains("abandoned") && text.contains("pid \(holder) (sleep) has its listener"), "\(text)")
        #expect(try unanswered(stage) == 0)
        #expect(try count(stage) == "1")
        #expect(try stage.verb("list").output.text.contains("1/2"))
        #expect(try stage.verb("check", ["web"]).exit == 0)
        // What is left makes room for a new copy.
        try stage.change(["scale", "web", "2"])
        #expect(try count(stage) == "2")
        #expect(hasEnded(holder))
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        #expect(try !isListening(stage))
    }

    /// A process that is not the app's accepts in the place of a copy, whose listener it has got hold of. It is not taken
    /// for the copy, and gets no signal.
    @Test(arguments: Level.allCases.filter { $0 == .privileged })
    func takenByAnother(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1")
        let pid = try stage.pid()
        let code: ByteString = """
            import ctypes, os, signal, socket
            number = ctypes.CDLL(None).syscall(438, os.pidfd_open(\(pid)), 3, 0)
            listener = socket.socket(fileno=number)
            listener.setblocking(True)
            print('has it', flush=True)
            try:
                while True: listener.accept()[0].close()
            except OSError: signal.pause()
            """
        let another = try stage.box.start(program: "/usr/bin/python3", ["-c", code])
        try another.waitFor("has it")
        try crash(stage, pid)
        let text = try stage.verb("state", ["web"]).output.text
        #expect(text.contains("abandoned") && text.contains("0/1 copy serves"), "\(text)")
        _ = try stage.verb("terminate", ["web"])
        #expect(!hasEnded(another.pid))
        #expect(try !isListening(stage))
        another.kill()
    }

    /// Whatever looks first, clients are not sent there any more.
    @Test(arguments: ["count", "check", "list"] as [ByteString])
    func anyLook(verb: ByteString) throws {
        let stage = try Stage(.privileged)
        try stage.deploy("1", copies: 2, command: try heir(stage, "leak"))
        try crash(stage, try stage.pid(1))
        _ = try stage.verb(verb, verb == "check" ? ["web"] : [])
        #expect(try unanswered(stage) == 0)
    }

    /// A server that has executed itself anew is the copy from then on.
    @Test(arguments: Level.allCases)
    func successor(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", copies: 2, command: try heir(stage, "successor"))
        let load = try Load(stage)
        let masters = try stage.pids()
        let workers = masters.map { pid in stage.marked().map(\.pid).first { parent(of: $0) == pid } }
        for pid in masters { try crash(stage, pid) }
        #expect(try stage.verb("check", ["web"]).exit == 0)
        #expect(try count(stage) == "2")
        #expect(try stage.pids() == workers)
        #expect(try stage.verb("scale", ["web", "2"]).exit == 0)
        #expect(try stage.pids() == workers)
        try stage.deploy("2")
        try stage.expectOnly(try stage.pids())
        let report = try load.stop()
        #expect(report.lost == 0 && report.labels == ["1", "2"], "\(report.summary)")
    }

    /// So is one at a Unix socket, and one whose listeners are not steered.
    @Test(arguments: Level.allCases, [Site.unix, .v4])
    func successorElsewhere(level: Level, site: Site) throws {
        let stage = try Stage(level, site)
        let options: [ByteString] = site == .unix ? [] : ["--steering", "off", "--ready", "none"]
        try stage.deploy("1", copies: site == .unix ? 1 : 2, options, command: try heir(stage, "successor"))
        let masters = try stage.pids()
        var workers: [pid_t] = []
        try waitUntil("workers") {
            workers = masters.compactMap { pid in stage.marked().map(\.pid).first { parent(of: $0) == pid } }
            return try workers.count == masters.count && stage.ask().contains("label: 1")
        }
        for pid in masters { try crash(stage, pid) }
        #expect(try stage.verb("check", ["web"]).exit == 0)
        #expect(try count(stage) == "\(masters.count)")
        #expect(try stage.pids() == workers)
        #expect(try stage.ask().contains("label: 1"))
        try stage.deploy("2", options)
        try stage.expectOnly(try stage.pids())
        #expect(try stage.ask().contains("label: 2"))
    }

    /// Where another copy accepts all connections, a process that accepts none is no successor.
    @Test(arguments: Level.allCases)
    func unsteeredLeak(level: Level) throws {
        let stage = try Stage(level)
        let options: [ByteString] = ["--steering", "off", "--ready", "none"]
        try stage.deploy("1", copies: 2, options, command: try heir(stage, "leak"))
        let pids = try stage.pids()
        try waitUntil("children") {
            pids.allSatisfy { pid in stage.marked().contains { parent(of: $0.pid) == pid } }
        }
        try crash(stage, pids[0])
        #expect(try count(stage) == "1")
        #expect(try stage.verb("state", ["web"]).output.text.contains("abandoned"))
    }

    /// What the kernel holds for a moment is nobody's: the copy has ended, and nothing is taken away from anybody.
    @Test(arguments: Level.allCases, [Site.unix, .v4])
    func vanishingListener(level: Level, site: Site) throws {
        let stage = try Stage(level, site)
        for look in ["state", "count", "finish"] as [ByteString] {
            try stage.deploy(look.text, command: try heir(stage, "parcel"))
            try crash(stage, try stage.pid())
            let more: [ByteString] = look == "finish" ? ["--generation", look, "--", "-1", "9"] : []
            let outcome = try stage.launch([look, "web", "--run-dir", stage.runDirectory] + more).end()
            #expect(outcome.exit == 0)
            #expect(!outcome.errors.contains("away"), "\(outcome.errors)")
            #expect(try stage.copy(look.text)?.state == "ended", "\(outcome.output.text)")
        }
        // One that is killed has ended as well when nobody has its listener.
        try stage.deploy("k", ["--stop-timeout", "200ms"], command: try heir(stage, "parcel", "deaf"))
        let outcome = try stage.change(["terminate", "web"])
        #expect(!outcome.errors.contains("cannot be seen"), "\(outcome.errors)")
    }

    /// A version that puts itself into the background fails, and does not stay there; nor does what it forks meanwhile.
    @Test(arguments: Level.allCases, ["daemon", "late"])
    func intoTheBackground(level: Level, kind: ByteString) throws {
        let stage = try Stage(level)
        try stage.deploy("1")
        let outcome = try stage.deploy("2", command: try heir(stage, kind, "2"), expect: 1)
        #expect(
            outcome.errors.contains("copy 0: exited with 0; it must stay in the foreground"), "\(outcome.errors)")
        try stage.expectOnly(try stage.pids())
        #expect(try stage.generation("2")?.state == "failed")
    }

    /// `finish` ends what is left, before the copy is started again.
    @Test(arguments: Level.allCases)
    func finished(level: Level) throws {
        let stage = try Stage(level)
        // Its parent does not keep it as a zombie.
        try stage.deploy("1", command: try heir(stage, "leak"))
        try crash(stage, try stage.pid())
        #expect(try isListening(stage))
        let words: [ByteString] = [
            "finish", "web", "--run-dir", stage.runDirectory, "--generation", "1", "--", "-1", "9",
        ]
        #expect(try stage.launch(words).end().exit == 0)
        #expect(try !isListening(stage))
        let known = try #require(try stage.copy("1"))
        #expect(known.state == "ended" && known.reason == "killed by signal 9 (KILL)")
    }

    /// So does the copy itself, where no finish script has.
    @Test(arguments: Level.allCases)
    func startedAgain(level: Level) throws {
        let stage = try Stage(level)
        let copy = try stage.handOver("1", variables: [stage.mark], command: try heir(stage, "leak"))[0]
        try crash(stage, copy.pid)
        let next = try stage.handOver("1", variables: [stage.mark])[0]
        try stage.expectOnly([next.pid])
        #expect(try unanswered(stage) == 0)
    }

    /// A process whose first thread has ended looks like a zombie.
    @Test(arguments: Level.allCases)
    func firstThreadHasEnded(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", command: try heir(stage, "thread"))
        try waitUntil("the end of its first thread") { state(of: try stage.pid()) == "Z" }
        #expect(try count(stage) == "1")
        #expect(try stage.ask().contains("label: 1"))
        try stage.deploy("2", command: try heir(stage, "thread", "2"))
        #expect(try stage.generation("1")?.state == "ended")
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        #expect(try !isListening(stage))
    }

    /// Its place is free as soon as the last thread has ended, which is waited for.
    @Test(arguments: Level.allCases)
    func startedAgainWhileThreadsEnd(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", command: try heir(stage, "thread"))
        let first = try stage.pid()
        try waitUntil("the end of its first thread") { state(of: first) == "Z" }
        _ = try stage.ask("/end")
        let next = try stage.handOver("1")[0]
        #expect(hasEnded(first))
        #expect(try stage.pid() == next.pid)
    }

    /// What counts is who listens, and not who runs.
    @Test(arguments: Level.allCases)
    func deaf(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", copies: 2, command: try heir(stage, "deaf"))
        let pids = try stage.pids()
        #expect(try count(stage) == "2")
        for (index, left) in ["1", "0"].enumerated() {
            kill(pids[index], SIGUSR1)
            #expect(try settled(left) { try count(stage) } == left)
        }
        #expect(try stage.verb("check", ["web"]).exit == 1)
        #expect(try stage.verb("list").output.text.contains("0/2"))
        #expect(try stage.verb("state", ["web"]).output.text.contains("0/2 copies serve"))
        // It has as many copies as the one before.
        try stage.deploy("2")
        #expect(try count(stage) == "2")
    }
}
