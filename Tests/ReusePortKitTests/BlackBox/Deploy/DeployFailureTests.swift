import Foundation
import Testing

@testable import ReusePortKit

/// How copies that deploy starts can fail.
struct Accident: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var options: [ByteString] = []
    var variables: [ByteString] = []
    /// What the copy that comes first does instead of being a server; nil: all are servers.
    var first: String?
    /// What all copies are; nil: the sample server.
    var command: [ByteString]?
    /// In the last line.
    var reason: String
    /// What stands before that line.
    var output: String?

    /// All of them at level 1, and at level 2 those that end in other ways.
    static let cases = all + [all[0], all[2]]
    static let levels = all.map { _ in Level.privileged } + [.ordinary, .ordinary]

    static let all: [Accident] = [
        Accident(
            testDescription: "one exits", first: "echo the last words >&2; exit 7", reason: ": exited with 7",
            output: "| the last words"),
        Accident(testDescription: "one is killed", first: "kill -SEGV $$", reason: ": killed by signal 11"),
        Accident(
            testDescription: "one is never ready", options: ["--ready-timeout", "500ms"],
            first: "exec sleep 600", reason: ": not ready after"),
        Accident(
            testDescription: "all answer 500", options: ["--ready", "http:http:/health", "--ready-timeout", "2s"],
            variables: ["SAMPLE_HEALTH=500"], reason: "answered 500"),
        Accident(
            testDescription: "one crashes when it is ready", options: ["--ready", "http:http:/health"],
            first: "SAMPLE_BOOT_MS=0 SAMPLE_CRASH=after-ready-50 exec \"$@\"", reason: ": exited with 3"),
    ]
}

/// What goes wrong with a deploy costs the running generation nothing, and leaves nothing.
@Suite struct DeployFailureTests {
    // MARK: - Copies

    @Test(arguments: zip(Accident.levels, Accident.cases))
    func copiesFail(level: Level, accident: Accident) throws {
        let stage = try Stage(level)
        try stage.deploy("1", copies: 2)
        let old = try stage.pids()
        let load = try Load(stage)
        var command = accident.command
        if let first = accident.first {
            let folder = stage.box.makeDirectory("shared", mode: 0o777)
            // The others become ready only when this one has had its say.
            let script = "mkdir \(folder)/first 2>/dev/null && { \(first); }; exec \"$@\""
            command = ["/bin/sh", "-c", ByteString(script), "sh"] + (try stage.sampleServer("2"))
        }
        var variables = accident.variables
        if accident.testDescription == "one crashes when it is ready" { variables += ["SAMPLE_BOOT_MS=1000"] }
        let outcome = try stage.deploy(
            "2", copies: 4, accident.options, variables: variables, command: command, expect: 1)
        try expectFailure(stage, outcome, accident.reason)
        if let output = accident.output { #expect(outcome.errors.contains(output), "\(outcome.errors)") }
        #expect(try stage.pids() == old)

        try stage.deploy("3", copies: 2)
        try stage.expectOnly(try stage.pids())
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.labels == ["1", "3"])
    }

    /// One line at the end, and nothing of the generation is left.
    private func expectFailure(
        _ stage: Stage, _ outcome: Outcome, _ reason: String, _ location: SourceLocation = #_sourceLocation
    ) throws {
        let lines = outcome.errors.split(separator: "\n")
        let fatal = lines.filter { $0.hasPrefix("reuseport-exec: fatal: ") }
        #expect(
            fatal.count == 1 && fatal[0] == lines.last
                && fatal[0].hasPrefix("reuseport-exec: fatal: unable to deploy generation 2 of app web: ")
                && fatal[0].contains(reason) && fatal[0].hasSuffix("generation 1 serves on"),
            "\(outcome.errors)", sourceLocation: location)
        #expect(outcome.output.text == "", sourceLocation: location)
        try expectNothingOf2(stage, location)
    }

    private func expectNothingOf2(_ stage: Stage, _ location: SourceLocation = #_sourceLocation) throws {
        try stage.expectOnly(try stage.pids(), location)
        let generation = try stage.generation("2")
        #expect(generation?.state == "failed", sourceLocation: location)
        #expect(generation?.reason != "", sourceLocation: location)
        #expect(stage.hiddenNames.isEmpty, sourceLocation: location)
        #expect(try stage.verb("check", ["web", "--generation", "1"]).exit == 0, sourceLocation: location)
    }

    @Test func unixSocketIsCleanedUp() throws {
        let stage = try Stage(.ordinary, .unix)
        try stage.deploy("1")
        let old = try stage.pids()
        try expectFailure(
            stage, try stage.deploy("2", command: ["/bin/sh", "-c", "exit 9"], expect: 1), "copy 0: exited with 9")
        let stuck = try stage.startDeploy("killed", variables: ["SAMPLE_BOOT_MS=600000"])
        try stuck.waitFor("copy 0 is starting")
        stuck.signal(SIGKILL)
        _ = try stuck.end()
        #expect(try stage.pids() == old)
        try stage.deploy("3")
        try stage.expectOnly(try stage.pids())
        #expect(stage.hiddenNames.isEmpty)
        #expect(try stage.ask().contains("label: 3"))
    }

    // MARK: - The log

    @Test(arguments: ["/nonexistent/web.log", "/proc/version"] as [ByteString])
    func logCannotBeWritten(path: ByteString) throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1")
        let old = try stage.pids()
        let outcome = try stage.deploy("2", ["--log", path], expect: 111)
        #expect(outcome.errors.contains(path.text), "\(outcome.errors)")
        #expect(try stage.generation("2") == nil)
        try stage.expectOnly(old)
    }

    /// Who may write the directory could have given any file the log's name.
    @Test func logThatHasAnotherName() throws {
        let stage = try Stage(.ordinary)
        stage.box.write("\(stage.home)/precious", Array("content".utf8), mode: 0o666)
        #expect(link("\(stage.home)/precious", stage.logPath) == 0)
        let outcome = try stage.deploy("1", expect: 111)
        #expect(outcome.errors.contains("has other names"), "\(outcome.errors)")
        #expect(stage.log == "content")
    }

    /// That nothing can be written there is the program's affair.
    @Test func fullLog() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1", ["--log", "/dev/full"])
        #expect(try stage.ask().contains("label: 1"))
        try stage.deploy("2", ["--log", "/dev/full"], command: ["/bin/sh", "-c", "echo x; exit 5"], expect: 1)
        #expect(try stage.ask().contains("label: 1"))
    }

    // MARK: - Interrupted

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
    func signalWhileItWaits(signal: Int32) throws {
        let stage = try Stage(signal == SIGTERM ? .privileged : .ordinary)
        try stage.deploy("1", copies: 2)
        let old = try stage.pids()
        let load = try Load(stage)
        let stuck = try stage.startDeploy("2", copies: 3, variables: ["SAMPLE_BOOT_MS=600000"])
        try stuck.waitFor("copy 2 is starting")
        stuck.signal(signal)
        let outcome = try stuck.end()
        #expect(outcome.exit == 1)
        try expectFailure(stage, outcome, "it was interrupted by ")
        #expect(try stage.pids() == old)
        try stage.deploy("3")
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
    }

    /// By nohup(1), or in the background of a script.
    @Test func ignoredSignalInterruptsNothing() throws {
        let stage = try Stage(.ordinary)
        let deploy = try stage.startDeploy("1", variables: ["SAMPLE_BOOT_MS=1500"], steps: [.ignore(SIGHUP)])
        try deploy.waitFor("copy 0 is starting")
        deploy.signal(SIGHUP)
        let outcome = try deploy.end()
        #expect(outcome.exit == 0, "\(outcome.errors)")
        #expect(try stage.ask().contains("label: 1"))
    }

    @Test func signalWhileCopiesAreAdded() throws {
        let stage = try Stage(.privileged)
        let slow = "\(stage.home)/slow"
        try stage.deploy("1", copies: 1, ["--ready", ByteString("exec:test ! -e \(slow)")])
        let old = try stage.pids()
        stage.box.write(slow, [], mode: 0o644)
        let scale = try stage.launch(["scale", "web", "3", "--run-dir", stage.runDirectory])
        try scale.waitFor("copy 2 is starting")
        scale.signal(SIGINT)
        let outcome = try scale.end()
        #expect(outcome.exit == 1)
        #expect(outcome.errors.contains("interrupted"), "\(outcome.errors)")
        try stage.expectOnly(old)
        #expect(try stage.pids() == old)
        let report = try Load(stage).stop()
        #expect(report.lost == 0)
        unlink(slow)
        try stage.change(["scale", "web", "2"])
        #expect(try stage.pids().count == 2)
    }

    /// As with `deploy 2>&1 | head -1`.
    @Test func nobodyReadsTheMessages() throws {
        let stage = try Stage(.ordinary)
        for label in ["1", "2"] {
            let words = try stage.deployWords(label, copies: 2, [], nil)
            let shell = try stage.box.start(
                program: "/bin/sh",
                ["-c", "\"$@\" 2>&1 | true; exec sleep 0", "sh", ByteString(try stage.box.launcher())] + words,
                environment: Sandbox.environment + [stage.mark], stage.asDeployer)
            _ = try shell.end()
            try waitUntil("it to take over") {
                try stage.verb("check", ["web", "--generation", ByteString(label)]).exit == 0
            }
        }
        try stage.expectOnly(try stage.pids())
    }

    // MARK: - Killed

    /// At moments that nobody chose: from before the gate to the end of the old generation.
    @Test(arguments: Level.allCases)
    func killedAnyTime(level: Level) throws {
        let stage = try Stage(level)
        // At level 2 nothing moves what a busy machine has not accepted within the settle time.
        let options: [ByteString] = level == .ordinary ? ["--settle", "600ms"] : []
        try stage.deploy("first", copies: 2, options)
        let load = try Load(stage)
        for number in 0..<10 {
            let deploy = try stage.startDeploy("k\(number)", copies: 2, options)
            // What happens in between is different each time, on a machine that is busy even more so.
            usleep(UInt32(number) * 4000)
            deploy.signal(SIGKILL)
            _ = try deploy.end()
        }
        try stage.deploy("last", copies: 2, options)
        try stage.expectOnly(try stage.pids())
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(try stage.generations().allSatisfy { $0.state != "starting" && $0.state != "retiring" })
        let after = try Load(stage).stop()
        #expect(after.lost == 0 && after.labels == ["last"])
    }

    @Test(arguments: Level.allCases)
    func killedWhileItWaits(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", copies: 2)
        let old = try stage.pids()
        let load = try Load(stage)
        let stuck = try stage.startDeploy("2", copies: 2, variables: ["SAMPLE_BOOT_MS=600000"])
        try stuck.waitFor("copy 1 is starting")
        stuck.signal(SIGKILL)
        _ = try stuck.end()
        #expect(try stage.pids() == old)
        try stage.deploy("3", copies: 2)
        try expectNothingLeft(stage, load, ["1", "3"])
    }

    @Test(arguments: Level.allCases)
    func killedWhileTheOldOneStops(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", ["--stop-timeout", "1s"], variables: ["SAMPLE_KEEP_LISTENING=1"])
        let load = try Load(stage)
        let deploy = try stage.startDeploy("2")
        try deploy.waitFor("generation 1 is told to stop")
        deploy.signal(SIGKILL)
        _ = try deploy.end()
        #expect(try stage.verb("check", ["web", "--generation", "2"]).exit == 0)
        try stage.deploy("3")
        try expectNothingLeft(stage, load, ["1", "2", "3"])
    }

    private func expectNothingLeft(
        _ stage: Stage, _ load: Load, _ labels: Set<String>, _ location: SourceLocation = #_sourceLocation
    ) throws {
        try stage.expectOnly(try stage.pids(), location)
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)", sourceLocation: location)
        #expect(report.labels.isSuperset(of: labels.subtracting(["2"])), sourceLocation: location)
        #expect(try stage.generations().allSatisfy { $0.state != "starting" }, sourceLocation: location)
    }

    // MARK: - Once more

    /// What cannot be started again is not stopped.
    @Test func restartWithoutFile() throws {
        let stage = try Stage(.privileged)
        let path = "\(stage.home)/web.conf"
        let command = try stage.sampleServer("1").map(\.text).joined(separator: " ")
        stage.box.write(
            path,
            Array(
                "socket: \(stage.socket.text)\nrun-dir: \(stage.runDirectory.text)\nlog: log\ncommand: \(command)\n"
                    .utf8),
            mode: 0o644)
        let first = try stage.launch(["deploy", "--config", ByteString(path)]).end()
        #expect(first.exit == 0, "\(first.errors)")
        let pids = try stage.pids()
        unlink(path)
        let restart = try stage.change(["restart", "web"], expect: 111)
        #expect(restart.errors.contains("web.conf: no such file"), "\(restart.errors)")
        #expect(try stage.pids() == pids)
    }

    @Test func restartWithoutWhatItNeeds() throws {
        let stage = try Stage(.privileged)
        let folder = stage.box.makeDirectory("needs")
        for name in ["logs", "work"] { mkdir("\(folder)/\(name)", 0o755) }
        stage.box.write("needs/key", "x")
        let program = "\(folder)/server"
        try copyTree(try stage.program("sample-server").text, to: program)
        try stage.deploy(
            "1", copies: 2,
            [
                "--log", ByteString("\(folder)/logs/web"), "--chdir", ByteString("\(folder)/work"), "--file",
                ByteString("key:\(folder)/key"),
            ], command: [ByteString(program)])
        let pids = try stage.pids()
        for (name, code) in [("logs", 111), ("work", 1), ("key", 111), ("server", 1)] as [(String, Int32)] {
            rename("\(folder)/\(name)", "\(folder)/away")
            for words in [["restart", "web"], ["restart", "web", "--copy", "0"]] as [[ByteString]] {
                let outcome = try stage.change(words, expect: code)
                #expect(outcome.errors.contains("\(folder)/\(name)"), "\(outcome.errors)")
            }
            rename("\(folder)/away", "\(folder)/\(name)")
        }
        #expect(try stage.pids() == pids)
        try stage.change(["restart", "web"])
        #expect(try Set(stage.pids()).isDisjoint(with: pids))
    }

    @Test func restartWithoutDirectory() throws {
        let stage = try Stage(.privileged)
        let folder = stage.box.makeDirectory("folder")
        let words = try stage.deployWords("1", copies: 2, [], nil).map { "'\($0.text)'" }.joined(separator: " ")
        let first = try stage.box.start(
            program: "/bin/sh",
            ["-c", ByteString("cd '\(folder)' && exec '\(try stage.box.launcher())' \(words)")],
            environment: Sandbox.environment + [stage.mark], stage.asDeployer
        ).end()
        #expect(first.exit == 0, "\(first.errors)")
        let pids = try stage.pids()
        rmdir(folder)
        for words in [["restart", "web"], ["restart", "web", "--copy", "0"], ["migrate", "web"]] as [[ByteString]] {
            let outcome = try stage.change(words, expect: 111)
            #expect(outcome.errors.contains("unable to enter"), "\(outcome.errors)")
        }
        #expect(try stage.pids() == pids)
    }

    /// A reason is told in the launcher's own words, and the end of a log is shown even if it is one long line.
    @Test func reasons() throws {
        let stage = try Stage(.privileged)
        let program = "\(stage.home)/server"
        let server = try stage.sampleServer("1").map(\.text).joined(separator: " ")
        stage.box.write(program, Array("#!/bin/sh\nexec \(server)\n".utf8), mode: 0o755)
        try stage.deploy("1", command: [ByteString(program)])
        unlink(program)
        let more = try stage.change(["scale", "web", "2"], expect: 1)
        #expect(more.errors.contains("copies of app web: unable to execute \(program): no such file"), "\(more.errors)")
        let long = try stage.deploy("2", command: ["/bin/sh", "-c", "printf '%09999d!\\n' 7; exit 3"], expect: 1)
        #expect(long.errors.contains("007!"), "\(long.errors)")
    }

    /// Who has made it could have the copies wait.
    @Test func logIsAnothersPipe() throws {
        let stage = try Stage(.privileged)
        let path = "\(stage.home)/pipe"
        mkfifo(path, 0o666)
        chown(path, 65534, 65534)
        let reader = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)
        defer { close(reader) }
        let outcome = try stage.deploy("1", ["--log", ByteString(path)], expect: 111)
        #expect(outcome.errors.contains("it is a FIFO of uid 65534"), "\(outcome.errors)")
        #expect(try stage.verb("check", ["web"]).exit == 1)
    }

    // MARK: - At the same time

    @Test(arguments: Level.allCases)
    func twoAtOnce(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1")
        let load = try Load(stage)
        let slow = try stage.startDeploy("2", copies: 2, variables: ["SAMPLE_BOOT_MS=6000"])
        try slow.waitFor("copy 0 is starting")
        let patient = try stage.startDeploy("3", copies: 2)
        let hasty = try stage.deploy("4", ["--lock-timeout", "100ms"], expect: 1)
        // The patient one looks again and again, and may have the lock at this moment.
        #expect(
            hasty.errors.contains("generation 2 is taking over") || hasty.errors.contains("another invocation holds"),
            "\(hasty.errors)")
        for deploy in [slow, patient] {
            let outcome = try deploy.end()
            #expect(outcome.exit == 0, "\(outcome.errors)")
        }
        #expect(try stage.verb("check", ["web", "--generation", "3"]).exit == 0)
        try expectNothingLeft(stage, load, ["1", "3"])
    }

    /// It waits, and is then about the generation that has taken over.
    @Test func scaleMeanwhile() throws {
        let stage = try Stage(.privileged)
        try stage.deploy("1", copies: 2)
        let load = try Load(stage)
        let slow = try stage.startDeploy("2", copies: 2, variables: ["SAMPLE_BOOT_MS=800"])
        try slow.waitFor("copy 0 is starting")
        let fewer = try stage.change(["scale", "web", "1"])
        #expect(fewer.errors.contains("web 2: has 1 copy"), "\(fewer.errors)")
        #expect(try slow.end().exit == 0)
        #expect(try stage.pids().count == 1)
        try stage.change(["scale", "web", "4"])
        #expect(try stage.pids().count == 4)
        try expectNothingLeft(stage, load, ["1"])
    }

    // MARK: - Around it

    @Test func userRemoved() throws {
        let stage = try Stage(.privileged)
        let users = try String(contentsOfFile: "/etc/passwd", encoding: .utf8)
        stage.box.write("with", "\(users)\nweb-user:x:4711:4711::/:/bin/sh\n")
        stage.box.write("without", users)
        func words(_ label: String) throws -> String {
            var words = try stage.deployWords(label, copies: 2, [], nil)
            words[words.firstIndex(of: "nobody")!] = "web-user"
            return quoted(words)
        }
        let outcome = try stage.inMountNamespace(
            """
            mount --bind \(stage.box["with"]) /etc/passwd
            $launcher \(try words("1"))
            mount --bind \(stage.box["without"]) /etc/passwd
            rm \(stage.logPath)
            set +e
            $launcher migrate web --generation 2 --run-dir \(stage.runDirectory.text)
            echo $?
            """)
        #expect(outcome.output.text == "100\n" || outcome.output.text == "111\n", "\(outcome.output.text)")
        #expect(outcome.errors.contains("web-user"), "\(outcome.errors)")
        #expect(outcome.errors.split(separator: "\n").last?.hasPrefix("reuseport-exec: fatal: ") == true)
        // Before anything was touched.
        #expect(try stage.generation("2") == nil)
        #expect(!stage.box.exists(stage.logPath))
        #expect(try stage.pids().count == 2)
        try stage.expectOnly(try stage.pids())
    }

    @Test func fullRunDirectory() throws {
        let stage = try Stage(.privileged)
        let run = stage.runDirectory.text
        func words(_ label: String) throws -> String { quoted(try stage.deployWords(label, copies: 2, [], nil)) }
        let outcome = try stage.inMountNamespace(
            """
            mkdir \(run)
            mount -t tmpfs -o size=64k,mode=755 tmpfs \(run)
            $launcher \(try words("1")) 2>/dev/null
            set +e
            cat /dev/zero >\(run)/full 2>/dev/null
            $launcher \(try words("2"))
            echo $?
            $launcher check web --generation 1 --run-dir \(run)
            echo $?
            rm \(run)/full
            $launcher \(try words("3")) 2>/dev/null
            echo $?
            $launcher count --run-dir \(run)
            $launcher terminate web --run-dir \(run)
            echo $?
            """)
        let lines = outcome.output.text.split(separator: "\n")
        #expect(lines.count == 5 && lines[0] != "0" && lines.dropFirst() == ["0", "0", "2", "0"], "\(lines)")
        #expect(outcome.errors.contains("no space left"), "\(outcome.errors)")
        try stage.expectOnly([])
    }

    @Test(arguments: Level.allCases)
    func reboot(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", copies: 2)
        stage.endDeployed()
        try stage.expectOnly([])
        try FileManager.default.removeItem(atPath: stage.runDirectory.text)
        try stage.deploy("1", copies: 2)
        #expect(try stage.pids().count == 2)
        // The registry alone survived, with numbers that may be anybody's by now.
        stage.endDeployed()
        try stage.expectOnly([])
        try stage.deploy("1", copies: 2)
        #expect(try stage.ask().contains("label: 1"))
        try stage.expectOnly(try stage.pids())
    }

    @Test func registryLost() throws {
        let stage = try Stage(.privileged)
        try stage.deploy("1", copies: 2)
        let load = try Load(stage)
        try FileManager.default.removeItem(atPath: stage.runDirectory.text)
        let outcome = try stage.deploy("2", copies: 2)
        #expect(outcome.errors.contains("recovered"), "\(outcome.errors)")
        try expectNothingLeft(stage, load, ["1"])
        #expect(try stage.ask().contains("label: 2"))
    }
}
