import Foundation
import Testing

@testable import ReusePortKit

/// How deploys are written: on the command line, in a file, and from the last time.
@Suite struct DeployLineTests {
    private func environment(of pid: pid_t) -> Set<String> {
        let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/environ") ?? Data()
        return Set(bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) })
    }

    private func arguments(of pid: pid_t) -> [String] {
        let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") ?? Data()
        return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    private func directory(of pid: pid_t) throws -> String {
        try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/cwd")
    }

    private func expectUsage(
        _ outcome: Outcome, _ parts: [String], _ location: SourceLocation = #_sourceLocation
    ) {
        #expect(outcome.exit == 100, "\(outcome.errors)", sourceLocation: location)
        let lines = outcome.errors.split(separator: "\n")
        #expect(
            lines.count == 1 && lines[0].hasPrefix("reuseport-exec: fatal: unable to "), "\(outcome.errors)",
            sourceLocation: location)
        for part in parts { #expect(outcome.errors.contains(part), "\(outcome.errors)", sourceLocation: location) }
    }

    // MARK: - The command line

    @Test(arguments: ["deploy", "start", "migrate"] as [ByteString])
    func waysToSayIt(verb: ByteString) throws {
        let stage = try Stage(.ordinary)
        let rest: [ByteString] = ["--run-dir", stage.runDirectory, "--log", "/dev/null"] + stage.common
        for words in [[verb, "web"] + rest, [verb] + rest + ["web"], [verb, "--app", "web"] + rest] as [[ByteString]] {
            let outcome = try stage.launch(words + stage.sampleServer("any")).end()
            #expect(outcome.exit == 0, "\(words.map(\.text)): \(outcome.errors)")
        }
        #expect(try stage.generations().map(\.generation) == ["1", "2", "3"])
        try stage.expectOnly(try stage.pids())
    }

    @Test(
        arguments: [
            ["--copy", "0"], ["--notify-fd", "1"], ["--log-fd", "2"], ["--copies", "0"], ["--copies", "256"],
            ["--copies", "many"], ["--log", ""], ["--log", "/tmp/"], ["--suspended=yes"],
        ] as [[ByteString]])
    func refused(options: [ByteString]) throws {
        let stage = try Stage(.ordinary)
        let outcome = try stage.launch(
            ["deploy", "web", "--run-dir", stage.runDirectory] + stage.common + options + ["--", "/bin/true"]
        ).end()
        expectUsage(outcome, [options[0].text.split(separator: "=").map(String.init)[0]])
        #expect(!stage.box.exists(stage.runDirectory.text))
    }

    /// Clients could go to either, and each of its maps would know of one.
    @Test func twoSocketsAtOneAddress() throws {
        let stage = try Stage(.ordinary)
        let outcome = try stage.deploy("1", ["--socket", "other:\(stage.socket.dropFirst(5))"], expect: 100)
        #expect(outcome.errors.contains("socket http has the same address"), "\(outcome.errors)")
    }

    @Test(arguments: [["--log", "-"], ["--suspended"], ["--copies", "auto"]] as [[ByteString]])
    func refusedWithoutDeploy(options: [ByteString]) throws {
        let stage = try Stage(.ordinary)
        let outcome = try stage.launch(
            ["--app", "web", "--run-dir", stage.runDirectory] + stage.common + options + ["--", "/bin/true"]
        ).end()
        expectUsage(outcome, [options[0].text])
    }

    @Test(arguments: [
        ["deploy"], ["deploy", "--", "/bin/true"], ["deploy", "../web", "/bin/true"], ["deploy", "web"],
    ])
    func incomplete(words: [String]) throws {
        let stage = try Stage(.ordinary)
        let outcome = try stage.launch(
            [ByteString(words[0]), "--run-dir", stage.runDirectory] + words.dropFirst().map { ByteString($0) }
        ).end()
        expectUsage(outcome, [])
    }

    @Test func dryRun() throws {
        let stage = try Stage(.ordinary)
        let outcome = try stage.deploy("1", copies: 3, ["--dry-run"])
        #expect(outcome.output.text.contains("execute"), "\(outcome.output.text)")
        #expect(outcome.errors == "")
        #expect(!stage.box.exists(stage.runDirectory.text) && !stage.box.exists(stage.logPath))
        try stage.deploy("1")
        let old = try stage.pids()
        let again = try stage.change(["migrate", "web", "--dry-run"])
        #expect(again.output.text.contains("sample-server"), "\(again.output.text)")
        #expect(try stage.pids() == old)
    }

    @Test func asManyAsProcessors() throws {
        let stage = try Stage(.ordinary)
        _ = try stage.box.launcher()
        let words = try stage.deployWords("1", copies: nil, ["--copies", "auto"], nil)
        let taskset = try Tool.require("taskset")
        let outcome = try stage.box.start(
            program: taskset, ["-c", "0", ByteString(try stage.box.launcher())] + words,
            environment: Sandbox.environment + [stage.mark], stage.asDeployer
        ).end()
        #expect(outcome.exit == 0, "\(outcome.errors)")
        #expect(try stage.pids().count == 1)
        try stage.change(["migrate", "web"])
        #expect(try stage.pids().count == ProcessInfo.processInfo.activeProcessorCount)
        // The first deploy counts them as well.
        let other = try Stage(.ordinary)
        try other.deploy("1", ["--copies", "auto"])
        #expect(try other.pids().count == ProcessInfo.processInfo.activeProcessorCount)
    }

    // MARK: - From the last time

    @Test func oneOptionAnew() throws {
        let stage = try Stage(.ordinary)
        let old = ["--env", "COLOR=blue", "--env", "SIZE=1", "--stop-timeout", "5s"] as [ByteString]
        try stage.deploy("1", copies: 2, old)
        try stage.change(["migrate", "web", "--copies", "3", "--env", "COLOR=green"])
        let pids = try stage.pids()
        #expect(pids.count == 3)
        for pid in pids { #expect(environment(of: pid).isSuperset(of: ["COLOR=green", "SIZE=1"])) }
        // And so from now on.
        try stage.change(["migrate", "web"])
        #expect(try stage.pids().count == 3)
        #expect(environment(of: try stage.pid()).contains("COLOR=green"))
        // Labels, and being suspended, are of one time only.
        try stage.change(["suspend", "web"])
        try stage.change(["migrate", "web"])
        #expect(try stage.pids().allSatisfy { !isStopped($0) })
    }

    /// Directory and environment are those of the first time.
    @Test func directoryAndEnvironment() throws {
        let stage = try Stage(.ordinary)
        let there = stage.box.makeDirectory("there", owner: stage.deployer)
        let program = try stage.program("sample-server").text
        try copyTree(program, to: "\(there)/server")
        try stage.deploy(
            "1", ["--log", "here.log"], variables: ["WHO=first"], command: ["./server", "same"],
            steps: [.changeDirectory(there)])
        #expect(stage.box.exists("\(there)/here.log"))
        #expect(try directory(of: try stage.pid()) == there)
        try stage.change(["migrate", "web"], variables: ["WHO=second"])
        let new = try stage.pids()
        #expect(try directory(of: new.first ?? 0) == there)
        #expect(environment(of: new.first ?? 0).contains("WHO=first"))
        // A copy that is added later is like those that are there.
        try stage.change(["scale", "web", "2"], [.changeDirectory("/")])
        #expect(try directory(of: try stage.pid(1)) == there)
    }

    // MARK: - A file

    /// As it was written for niagra.
    @Test func niagra() throws {
        let python = try Tool.require("python3")
        let stage = try Stage(.privileged)
        // Told in niagra's way: `--fd http,3`.
        let script = stage.box.write(
            "web.py",
            """
            import os, socket, sys
            assert sys.argv[-2] == "--fd"
            name, number = sys.argv[-1].split(",")
            listener = socket.socket(fileno=int(number))
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(5)
                    try:
                        connection.recv(4096)
                        body = f"label: {sys.argv[1]}\\npid: {os.getpid()}\\nuid: {os.getuid()}\\n".encode()
                        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
                    except OSError:
                        pass
            """)
        let file = stage.box.write(
            "web.conf",
            """
            # a service
            socket: http 4 127.0.0.1 \(stage.port) 511
            user: nobody
            copies: 3
            command: \(python) \(script) niagra

            """)
        let outcome = try stage.launch(
            [
                "deploy", "--config", ByteString(file), "--run-dir", stage.runDirectory, "--log",
                ByteString(stage.logPath),
            ]
        ).end()
        #expect(outcome.exit == 0, "\(outcome.errors)")
        let pids = try stage.pids()
        #expect(pids.count == 3)
        #expect(arguments(of: pids.first ?? 0).suffix(2) == ["--fd", "http,3"])
        #expect(try stage.ask().contains("label: niagra"))
        #expect(try stage.ask().contains("uid: 65534"))
        try stage.change(["migrate", "web"])
        #expect(try stage.pids().count == 3)
        #expect(arguments(of: try stage.pid()).suffix(2) == ["--fd", "http,3"])
    }

    /// One file for the exec form, for deploy, and for the verbs.
    @Test func oneDescription() throws {
        let stage = try Stage(.ordinary)
        let file = ByteString(
            stage.box.write(
                "shop.conf",
                """
                app: web
                run-dir: \(stage.runDirectory.text)
                socket: \(stage.socket.text)
                log: \(stage.logPath)
                copies: 2
                env: COLOR=blue
                command: \(try stage.program("sample-server").text) same

                """))
        func run(_ words: [ByteString]) throws -> Outcome { try stage.launch(words).end() }
        #expect(try run(["deploy", "--config", file]).exit == 0)
        #expect(try stage.pids().count == 2)
        #expect(try run(["count", "--config", file]).output.text == "2\n")
        #expect(try run(["state", "--config", file]).output.text.contains("web"))
        #expect(try run(["check", "--config", file]).exit == 0)
        #expect(try run(["scale", "--config", file, "3"]).exit == 0)
        #expect(try stage.pids().count == 3)
        #expect(try run(["deploy", "--config", file, "--copies", "1"]).exit == 0)
        #expect(try stage.pids().count == 1)
        // What is for deploy alone is passed over by the exec form.
        let copy = try stage.launch(["--config", file, "--copies", "1", "--generation", "by-hand"])
        #expect(try stage.wait(["--pid", ByteString(decimal: copy.pid)]).exit == 0)
        #expect(environment(of: copy.pid).contains("COLOR=blue"))
        #expect(try run(["terminate", "--config", file]).exit == 0)
        #expect(try copy.end().exit == 0)
        try stage.expectOnly([])
    }

    /// The file is found again from anywhere, and read anew.
    @Test func fileIsReadAgain() throws {
        let stage = try Stage(.ordinary)
        func write(_ more: String) {
            stage.box.write(
                "web.conf",
                """
                socket: \(stage.socket.text)
                run-dir: \(stage.box["run"])
                log: log
                command: bin/sample-server same
                \(more)
                """
            )
        }
        _ = try stage.program("sample-server")
        chown(stage.box.path, stage.deployer ?? getuid(), gid_t(stage.deployer ?? getuid()))
        write("env: COLOR=blue\n")
        let run = ByteString(stage.box["run"])
        #expect(
            try stage.launch(["deploy", "--config", "web.conf"], [.changeDirectory(stage.box.path)]).end().exit == 0)
        func pid() throws -> pid_t {
            let outcome = try stage.box.run(["state", "web", "--json", "--run-dir", run], stage.asDeployer)
            let pids = outcome.output.text.components(separatedBy: "\"pid\":").dropFirst()
            return pid_t(pids.last?.prefix { $0.isNumber } ?? "0") ?? 0
        }
        #expect(stage.box.exists("log"))
        #expect(environment(of: try pid()).contains("COLOR=blue"))
        write("env: COLOR=green\n")
        #expect(
            try stage.launch(["migrate", "web", "--run-dir", run], [.changeDirectory("/")]).end().exit == 0)
        let served = try pid()
        #expect(environment(of: served).contains("COLOR=green"))
        // A mistake costs the running generation nothing.
        write("env: COLOR=red\nstop-timeout: soon\n")
        let outcome = try stage.launch(["migrate", "web", "--run-dir", run], [.changeDirectory("/")]).end()
        expectUsage(outcome, ["\(stage.box.path)/web.conf:6:15"])
        #expect(try pid() == served)
        #expect(try stage.ask().contains("pid: \(served)\n"))
        #expect(try stage.launch(["terminate", "web", "--run-dir", run]).end().exit == 0)
        try stage.expectOnly([])
    }

    // MARK: - Verbs

    @Test(arguments: [
        ["scale", "web", "0"], ["scale", "web", "256"], ["scale", "web", "-1"], ["scale", "web", "x"],
        ["scale", "web"],
        ["scale"], ["restart"], ["suspend"], ["resume"], ["restart", "web", "--copy", "x"],
        ["resume", "web", "--copies"],
        ["migrate", "web"], ["migrate", "web", "--copies", "2"],
    ])
    func verbUsage(words: [String]) throws {
        let stage = try Stage(.ordinary)
        expectUsage(try stage.verb(ByteString(words[0]), words.dropFirst().map { ByteString($0) }), [])
        #expect(!stage.box.exists(stage.runDirectory.text))
    }

    @Test(arguments: [["scale", "web", "2"], ["restart", "web"], ["suspend", "web"], ["resume", "web"]])
    func unknownApp(words: [String]) throws {
        let stage = try Stage(.ordinary)
        let outcome = try stage.verb(ByteString(words[0]), words.dropFirst().map { ByteString($0) })
        #expect(outcome.exit == 1)
        #expect(outcome.errors.split(separator: "\n").count == 1 && outcome.errors.contains("app web"))
    }

    /// Of an app that deploy has not started.
    @Test(arguments: [
        ["scale", "web", "2"], ["restart", "web"], ["restart", "web", "--copy", "0"], ["migrate", "web"],
    ])
    func notDeployed(words: [String]) throws {
        let stage = try Stage(.ordinary)
        let copies = try stage.handOver("1")
        let outcome = try stage.verb(ByteString(words[0]), words.dropFirst().map { ByteString($0) })
        #expect(outcome.exit == 1)
        #expect(
            outcome.errors.split(separator: "\n").count == 1 && outcome.errors.contains("was not started by deploy"),
            "\(outcome.errors)")
        #expect(try stage.pids() == [copies[0].pid])
        #expect(try stage.ask().contains("label: 1"))
    }

    @Test(arguments: Level.allCases)
    func fewerOfThoseByHand(level: Level) throws {
        let stage = try Stage(level)
        let copies = try stage.handOver("1", copies: 3)
        try stage.change(["scale", "web", "1"])
        for copy in copies[1...] { #expect(try copy.end().exit == 0) }
        #expect(try stage.pids() == [copies[0].pid])
        let report = try Load(stage).stop()
        #expect(report.lost == 0 && report.byPID.count == 1)
    }
}
