import Foundation
import Testing

@testable import ReusePortKit

/// What a copy sees of itself that deploy has started.
@Suite struct DeployedViewTests {
    /// Deploys `view`, which stays, and gives what it saw.
    private func view(
        _ stage: Stage, _ options: [ByteString] = [], variables: [ByteString] = [], steps: [Step] = []
    ) throws -> (view: View, pid: pid_t) {
        let seen = "\(stage.box.makeDirectory("seen", mode: 0o777))/view"
        try stage.deploy(
            "1", ["--ready", "none"] + options, variables: variables + ["VIEW_TO=\(seen)", "VIEW_STAY=1"],
            command: [ByteString(try stage.box.target("view")), "argument"], steps: steps)
        var view: View?
        try waitUntil("the view") {
            guard let bytes = FileManager.default.contents(atPath: seen) else { return false }
            view = try? View(ByteString([UInt8](bytes)))
            return view != nil
        }
        return (view!, try stage.pid())
    }

    /// Fields of proc_pid_stat(5) behind the name: 0 is the state, 1 the parent, 2 the group, 3 the session, 4 the tty.
    private func fields(of pid: pid_t) throws -> [String] {
        let text = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .isoLatin1)
        return text[text.index(text.lastIndex(of: ")")!, offsetBy: 2)...].split(separator: " ").map(String.init)
    }

    @Test(arguments: Level.allCases)
    func plain(level: Level) throws {
        let stage = try Stage(level)
        let (view, pid) = try view(
            stage, variables: ["WHO=me"], steps: [.open(7, "/dev/zero"), .open(90, "/dev/null")])
        #expect(view.pid == "\(pid)")
        #expect(view.arguments.dropFirst() == ["argument"])
        #expect(view.descriptors == [0, 1, 2, 3])
        #expect(view.link(0) == "/dev/null")
        #expect(view.link(1) == stage.logPath && view.link(2) == stage.logPath)
        #expect(view.link(3).hasPrefix("socket:"))
        #expect(view.socket(3, "listening") == 1)
        #expect(view.port(3) == "\(stage.port)")
        #expect(view.variable("WHO") == "me")
        #expect(view.variable("LISTEN_PID") == "\(pid)" && view.variable("LISTEN_FDS") == "1")
        #expect(view.status("SigIgn") == "0000000000000000")
        #expect(view.status("SigBlk") == "0000000000000000")
        #expect(view.status("SigCgt") == "0000000000000000")
        #expect(view.uid == "65534 65534 65534")
        let fields = try fields(of: pid)
        #expect(fields[2] == "\(pid)" && fields[3] == "\(pid)", "its own session")
        #expect(fields[4] == "0", "no terminal")
        // Nobody's child.
        let parent = pid_t(fields[1])!
        #expect(parent == 1 || !stage.marked().map(\.pid).contains(parent))
        try stage.expectOnly([pid])
    }

    @Test func signalsAreTheCallers() throws {
        let stage = try Stage(.ordinary)
        let (view, _) = try view(
            stage,
            steps: [.ignore(SIGHUP), .ignore(SIGPIPE), .ignore(SIGUSR2), .ignore(SIGCHLD), .block(SIGTERM), .block(40)])
        #expect(view.status("SigIgn") == "0000000000011801")
        #expect(view.status("SigBlk") == "0000008000004000")
    }

    @Test func limitIsTheCallers() throws {
        let stage = try Stage(.privileged)
        _ = try stage.box.launcher()
        let words = try stage.deployWords(
            "1", copies: 60, [], nil)
        // Soft, not hard: more than that is needed here for sixty copies.
        let outcome = try stage.box.start(
            program: "/bin/sh",
            ["-c", "ulimit -Sn 40 && exec \"$@\"", "sh", ByteString(try stage.box.launcher())] + words,
            environment: Sandbox.environment + [stage.mark], stage.asDeployer
        ).end()
        #expect(outcome.exit == 0, "\(outcome.errors)")
        let pids = try stage.pids()
        #expect(pids.count == 60)
        for pid in [try stage.pid(0), try stage.pid(59)] {
            let limits = try String(contentsOfFile: "/proc/\(pid)/limits", encoding: .utf8)
            let line = limits.split(separator: "\n").first { $0.hasPrefix("Max open files") }!
            #expect(line.split(separator: " ")[3] == "40", "\(line)")
        }
    }

    // MARK: - Readiness

    @Test(arguments: Level.allCases, ["accept", "http:http:/health", "notify", "fd:9", "exec:true", "none"])
    func readiness(level: Level, form: String) throws {
        let stage = try Stage(level)
        let variables: [ByteString] = ["SAMPLE_NOTIFY=1", "SAMPLE_READY_FD=9", "SAMPLE_BOOT_MS=30"]
        let options: [ByteString] = ["--ready", ByteString(form), "--ready-timeout", "30s"]
        try stage.deploy("1", copies: 2, options, variables: form == "fd:9" ? variables : [variables[0], variables[2]])
        try stage.change(["migrate", "web"], variables: form == "fd:9" ? variables : [variables[0], variables[2]])
        let report = try Load(stage, connections: 8).stop()
        #expect(report.lost == 0)
        #expect(Set(report.byPID.keys) == Set(try stage.pids().map { "\($0)" }))
        try stage.expectOnly(try stage.pids())
    }

    /// Each start has a number of its own, also in one deploy, and after a crash.
    @Test func startsAreCounted() throws {
        let stage = try Stage(.ordinary)
        func starts() -> [Int] {
            stage.log.split(separator: "\n").compactMap { $0.hasPrefix("start ") ? Int($0.dropFirst(6)) : nil }.sorted()
        }
        let command: [ByteString] =
            ["/bin/sh", "-c", "echo start $SERVER_STARTER_GENERATION; exec \"$@\"", "sh"]
            + (try stage.sampleServer("1"))
        try stage.deploy("1", copies: 2, ["--pass", "systemd,server-starter"], command: command)
        #expect(starts() == [1, 2])
        try stage.change(["migrate", "web"])
        #expect(starts() == [1, 2, 3, 4])
        try stage.change(["scale", "web", "3"])
        #expect(starts() == [1, 2, 3, 4, 5])
    }

    // MARK: - The log

    @Test func logOfEach() throws {
        let stage = try Stage(.ordinary)
        let pattern = "\(stage.home)/copy-{copy}.log"
        try stage.deploy(
            "1", copies: 2, ["--log", ByteString(pattern)],
            command: ["/bin/sh", "-c", "echo pid $$; exec \"$@\"", "sh"] + (try stage.sampleServer("1")))
        for copy in try stage.live() {
            let text = try String(contentsOfFile: "\(stage.home)/copy-\(copy.copy).log", encoding: .utf8)
            #expect(text.contains("pid \(copy.pid)\n"), "\(text)")
        }
        // Appended to, not emptied.
        try stage.change(["migrate", "web"])
        let text = try String(contentsOfFile: "\(stage.home)/copy-1.log", encoding: .utf8)
        #expect(text.components(separatedBy: "pid ").count == 3, "\(text)")
    }

    @Test func logIsOurs() throws {
        let stage = try Stage(.ordinary)
        let deploy = try stage.startDeploy(
            "1", ["--log", "-"],
            command: ["/bin/sh", "-c", "echo out; exec \"$@\"", "sh"] + (try stage.sampleServer("1")))
        try deploy.waitFor("out")
        try deploy.waitFor("serves with 1 copy")
        try stage.change(["terminate", "web"])
        #expect(try deploy.end().exit == 0)
    }

    @Test func usualLogOfUser() throws {
        let stage = try Stage(.ordinary)
        let words = try stage.deployWords("1", copies: nil, ["--log", "x"], nil)
        let start = words.firstIndex(of: "--log")!
        let usual = Array(words[..<start] + words[(start + 2)...])
        func run(_ variables: [ByteString]) throws -> Outcome {
            try stage.launch(usual.map { $0 == "1" ? "g\(stage.nextNumber())" : $0 }, variables: variables).end()
        }
        let state = "\(stage.home)/state"
        let outcome = try run(["XDG_STATE_HOME=\(state)"])
        #expect(outcome.exit == 0, "\(outcome.errors)")
        #expect(stage.box.exists("\(state)/reuseport-exec/web.log"))
        #expect(try run(["HOME=\(stage.home)"]).exit == 0)
        #expect(stage.box.exists("\(stage.home)/.local/state/reuseport-exec/web.log"))
        let none = try run([])
        #expect(none.exit == 100 && none.errors.contains("--log FILE"), "\(none.errors)")
    }

    /// In a file system of its own.
    @Test func usualLogOfRoot() throws {
        let stage = try Stage(.privileged)
        var words = try stage.deployWords("1", copies: nil, ["--log", "x"], nil)
        words.removeSubrange(words.firstIndex(of: "--log")!...words.firstIndex(of: "x")!)
        let outcome = try stage.inMountNamespace(
            """
            mount -t tmpfs -o mode=755 tmpfs /var/log
            $launcher \(quoted(words))
            stat -c %a,%u /var/log/reuseport-exec/web.log
            """)
        // With an access list: the copies' user may write.
        #expect(outcome.output.text == "660,0\n", "\(outcome.errors)")
        #expect(try stage.ask().contains("label: 1"))
    }

    @Test func systemLog() throws {
        _ = try Tool.require("logger")
        let stage = try Stage(.privileged)
        let received = "\(stage.home)/messages"
        // A stand-in for syslogd: what logger(1) sends to /dev/log.
        stage.box.write(
            "syslogd.py",
            """
            import os, socket, sys
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            s.bind("/dev/log")
            os.chmod("/dev/log", 0o666)
            open("\(stage.home)/up", "w").close()
            while True:
                open("\(received)", "ab").write(s.recv(65536) + b"\\n")
            """)
        let words = try stage.deployWords(
            "1", copies: 2, ["--log", "syslog"],
            ["/bin/sh", "-c", "echo hello from $$; exec \"$@\"", "sh"] + (try stage.sampleServer("1")))
        let outcome = try stage.inMountNamespace(
            """
            mount -t tmpfs -o mode=755 tmpfs /dev
            mknod -m 666 /dev/null c 1 3
            mknod -m 666 /dev/zero c 1 5
            mknod -m 666 /dev/urandom c 1 9
            [ ! -d /run/systemd ] || mount -t tmpfs tmpfs /run/systemd
            setsid python3 \(stage.box["syslogd.py"]) >/dev/null 2>&1 </dev/null &
            while [ ! -e \(stage.home)/up ]; do sleep 0.01; done
            $launcher \(quoted(words))
            """)
        #expect(outcome.exit == 0, "\(outcome.errors)")
        try waitUntil("the message") {
            let text = FileManager.default.contents(atPath: received).map { String(decoding: $0, as: UTF8.self) } ?? ""
            return try stage.pids().allSatisfy { text.contains("web: hello from \($0)") }
        }
        // What passes their output on goes with them.
        try stage.change(["terminate", "web"])
        try waitUntil("the end of logger") { stage.marked().count <= 1 }
    }
}
