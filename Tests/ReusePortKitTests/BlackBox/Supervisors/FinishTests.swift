import Foundation
import Testing

@testable import ReusePortKit

/// The verb of finish scripts.
@Suite struct FinishTests {
    /// The configuration file names the app: what stands behind the options is how it ended.
    @Test func appOfConfiguration() throws {
        let stage = try Stage(.ordinary)
        let process = try stage.handOver("blue")[0]
        process.kill()
        let text = "app: web\nrun-dir: \(stage.runDirectory.text)\nsocket: \(stage.socket.text)\ncommand: x\n"
        let path = stage.box.write("web.conf", text)
        let outcome = try stage.box.run(
            ["finish", "--config", ByteString(path), "--generation", "blue", "--permanent", "3", "--", "3", "0"],
            stage.asDeployer)
        #expect(outcome.exit == 0 && outcome.errors.contains("stays down"), "\(outcome.errors)")
        #expect(try stage.copy("blue")?.reason == "exited with 3")
    }

    /// What means nothing is refused before anything is done.
    @Test(arguments: [["--ready-timeout", "0s"], ["--log", "/tmp/{copies}"]] as [[ByteString]])
    func refused(options: [ByteString]) throws {
        let outcome = try Sandbox().run(
            ["deploy", "web", "--dry-run", "--socket", "http:127.0.0.1:8080"] + options + ["--", "x"])
        #expect(outcome.exit == 100 && outcome.errors.contains(options[0].text), "\(outcome.errors)")
    }

    /// Each form in which supervisors say how it was, and what comes of it.
    @Test func forms() throws {
        let stage = try Stage(.ordinary)
        let processes = try stage.handOver("blue")
        processes[0].kill()
        let report = stage.box["report"]
        let command = "env | grep ^REUSEPORT_EXEC_ | sort > \(report)"
        stage.box.write(report, [], mode: 0o666)
        let table: [(words: [ByteString], kind: String, code: String, signal: String, reason: String, crashes: Int)] = [
            (["3", "0"], "abnormal", "3", "", "exited with 3", 1),
            (["0", "0"], "normal", "0", "", "exited with 0", 0),
            (["-1", "11"], "signal", "", "SEGV", "killed by signal 11 (SEGV)", 1),
            (["0", "0", "web-blue"], "normal", "0", "", "exited with 0", 0),
            (["-1", "139"], "signal", "", "SEGV", "killed by signal 11 (SEGV)", 1),
            (["256", "15", "web-blue", "77"], "signal", "", "TERM", "killed by signal 15 (TERM)", 0),
            (["256", "9", "web-blue"], "signal", "", "KILL", "killed by signal 9 (KILL)", 1),
            (["100", "0", "web-blue", "77"], "abnormal", "100", "", "exited with 100", 2),
        ]
        for row in table {
            let arguments: [ByteString] = [
                "finish", "--on-exit", ByteString(command), "web", "--run-dir", stage.runDirectory, "--generation=blue",
                "--",
            ]
            let outcome = try stage.box.run(
                arguments + row.words, environment: Sandbox.environment + ["REUSEPORT_EXEC_STALE=1"], stage.asDeployer)
            #expect(outcome.exit == 0, "\(outcome.errors)")
            let copy = try #require(try stage.copy("blue"))
            #expect(copy.reason == row.reason && copy.crashes == row.crashes && copy.state == "ended")
            var seen: [String: String] = [:]
            for line in try String(contentsOfFile: report, encoding: .utf8).split(separator: "\n") {
                let parts = line.dropFirst("REUSEPORT_EXEC_".count).split(separator: "=", maxSplits: 1)
                seen[String(parts[0])] = parts.count > 1 ? String(parts[1]) : ""
            }
            let pause = row.crashes == 0 ? "" : " after \(1 << (row.crashes - 1))s"
            let repeated = row.crashes > 1 ? ", \(row.crashes) crashes in a row" : ""
            #expect(
                seen == [
                    "APP": "web", "GENERATION": "blue", "COPY": "0", "PID": "\(processes[0].pid)", "KIND": row.kind,
                    "CODE": row.code, "SIGNAL": row.signal, "CRASHES": "\(row.crashes)", "NEXT": "restart",
                    "REASON": "copy 0 of web blue: \(row.reason)\(repeated); it is started again\(pause)",
                ])
        }
        let text = try stage.verb("state", ["web"]).output.text
        #expect(text.contains("exited with 100, 2 crashes in a row"))
    }

    @Test(
        arguments: [
            [], ["web"], ["web", "--generation", "a", "--copy", "x"], ["web", "--generation", "a", "-1"],
            ["web", "--generation", "a", "256", "0"], ["web", "--generation", "a", "seven"],
            ["web", "--generation", "a", "--permanent", "300"],
            ["web", "--generation", "a", "--json"],
        ] as [[ByteString]])
    func wrongUse(words: [ByteString]) throws {
        let stage = try Stage(.ordinary)
        let outcome = try stage.verb("finish", words)
        #expect(outcome.exit == 100, "\(outcome.errors)")
    }

    /// Nothing is known, nothing can be known, or it is somebody else's: it waits and says what is the matter.
    @Test func oddities() throws {
        let stage = try Stage(.ordinary)
        func finish(_ words: [ByteString], environment: [ByteString] = []) throws -> Outcome {
            try stage.box.run(
                ["finish", "web", "--generation", "blue", "--run-dir", stage.runDirectory] + words,
                environment: Sandbox.environment + environment, stage.asDeployer)
        }
        let unknown = try finish(["3", "0"])
        #expect(unknown.exit == 0 && unknown.errors.contains("started again after 5s"), "\(unknown.errors)")
        // systemd tells by variables, and nothing if there was no main process.
        #expect(try finish([]).errors == "")
        let processes = try stage.handOver("blue")
        // It runs: this is not its end.
        let other = try finish(["100", "0"])
        #expect(other.exit == 0)
        #expect(try #require(try stage.copy("blue")).state == "live")
        #expect(try #require(try stage.copy("blue")).reason == "")
        processes[0].kill()
        #expect(try finish([], environment: ["EXIT_CODE=dumped", "EXIT_STATUS=ABRT"]).exit == 0)
        #expect(try #require(try stage.copy("blue")).reason == "killed by signal 6 (ABRT)")
        #expect(try finish([], environment: ["EXIT_CODE=exited", "EXIT_STATUS=0"]).exit == 0)
        #expect(try #require(try stage.copy("blue")).reason == "exited with 0")
        // The kernel has ended another process of the unit, and systemd then the main one.
        let ranOut = ["EXIT_CODE=exited", "EXIT_STATUS=0", "SERVICE_RESULT=oom-kill"] as [ByteString]
        #expect(try finish([], environment: ranOut).errors.contains("started again after"))
        #expect(try #require(try stage.copy("blue")).reason == "killed by the kernel: memory ran out")
        // --on-exit may fail.
        let failing = try finish(["--on-exit", "exit 7", "0", "0"])
        #expect(failing.exit == 0)
        #expect(failing.errors.contains("warning: web blue: --on-exit exited with 7"), "\(failing.errors)")
        _ = try stage.handOver("green")
        let old = try finish(["3", "0"])
        #expect(old.exit == 0 && !old.errors.contains("started again"), "\(old.errors)")
    }

    // MARK: - Under supervisors

    /// A service whose server serves, or exits with 3 where there is a file `crash`.
    private func write(
        _ name: String, _ stage: Stage, _ kind: SupervisorKind, _ folder: String, finish: String
    ) throws {
        let service = "\(folder)/\(name)"
        mkdir(service, 0o755)
        func write(_ file: String, _ text: String) {
            stage.box.write("\(service)/\(file)", Array(text.utf8), mode: 0o755)
        }
        let launcher = try stage.box.launcher()
        let server = try stage.sampleServer(name).map(\.text).joined(separator: " ")
        let common = stage.common.map(\.text).joined(separator: " ")
        write("server", "#!/bin/sh\n[ ! -e \(stage.home)/crash ] || exit 3\nexec \(server)\n")
        write(
            "run",
            """
            #!/bin/sh
            exec 2>>\(stage.home)/\(name).log
            exec \(launcher) --app web --generation \(name) --run-dir \(stage.runDirectory.text) \(common) -- \(service)/server

            """)
        write(
            "finish",
            """
            #!/bin/sh
            exec 2>>\(stage.home)/\(name).log
            exec \(launcher) finish web --generation \(name) --run-dir \(stage.runDirectory.text) \(finish) -- "$@"

            """)
        if kind == .s6 { write("timeout-finish", "60000\n") }
    }

    private func serve(_ stage: Stage, _ name: String) throws -> KnownCopy {
        var copy: KnownCopy?
        try waitUntil("\(name) serves") {
            copy = try stage.copy(name)
            return copy?.state == "live" && copy?.generationState == "live"
        }
        return copy!
    }

    @Test(arguments: SupervisorKind.allCases) func crashLoop(kind: SupervisorKind) throws {
        let stage = try Stage(.ordinary)
        let services = try Services(stage, kind) { folder in
            try write(
                "blue", stage, kind, folder,
                finish: "--on-exit 'echo $REUSEPORT_EXEC_NEXT $REUSEPORT_EXEC_CRASHES >>\(stage.home)/exits'")
        }
        let first = try serve(stage, "blue")
        #expect(first.crashes == 0)
        stage.box.write("\(stage.home)/crash", [], mode: 0o644)
        kill(pid_t(first.pid), SIGSEGV)
        try waitUntil("it has crashed three times") { try stage.copy("blue").map { $0.crashes >= 3 } ?? false }
        unlink("\(stage.home)/crash")
        let record = try String(contentsOfFile: "\(stage.runDirectory.text)/web/1-0", encoding: .utf8)
        let crashes = try #require(CopyRecord(text: ByteString(record))?.crashes)
        // One second, then two, went by in between; of the first crash the begun second counts whole.
        #expect(crashes.last - crashes.since >= 2, "\(record)")
        #expect(try #require(try stage.copy("blue")).reason == "exited with 3")
        // It serves again by itself, and a second crash soon after is one more in the row.
        let again = try serve(stage, "blue")
        #expect(again.crashes == 3 && again.pid != first.pid)
        let exits = try String(contentsOfFile: "\(stage.home)/exits", encoding: .utf8)
        #expect(exits == "restart 1\nrestart 2\nrestart 3\n")
        // A supervisor that is told to keep it down does not wait for the pause, which is half a minute by then.
        let path = "\(stage.runDirectory.text)/web/1-0"
        stage.overwrite(
            path, try String(contentsOfFile: path, encoding: .utf8).replacing("crashes=3 ", with: "crashes=10 "))
        kill(pid_t(again.pid), SIGKILL)
        try waitUntil("it pauses") { try stage.copy("blue")?.crashes == 11 }
        let began = ContinuousClock.now
        try services.stop("blue")
        try waitUntil("it is down") { try services.state("blue") == ServiceState(pid: nil, isWanted: false) }
        #expect(.now - began < .seconds(20))
        #expect(try #require(try stage.copy("blue")).reason == "killed by signal 9 (KILL)")
    }

    /// A supervisor waits for its finish script.
    @Test func onExitThatTakesTooLong() throws {
        let stage = try Stage(.ordinary)
        let process = try stage.handOver("blue")[0]
        process.kill()
        let finish = try stage.box.start(
            [
                "finish", "web", "--generation", "blue", "--on-exit", "exec sleep 1000", "--run-dir",
                stage.runDirectory, "--", "0", "0",
            ], stage.asDeployer)
        try finish.waitFor("--on-exit takes longer than 30s, and is killed")
        #expect(try finish.end().exit == 0)
    }

    @Test(arguments: SupervisorKind.allCases) func permanent(kind: SupervisorKind) throws {
        let stage = try Stage(.ordinary)
        let services = try Services(stage, kind) { folder in
            try write(
                "blue", stage, kind, folder,
                finish:
                    "--permanent 0,3-5 --on-exit 'echo $REUSEPORT_EXEC_NEXT $REUSEPORT_EXEC_REASON >>\(stage.home)/exits'"
            )
        }
        let first = try serve(stage, "blue")
        stage.box.write("\(stage.home)/crash", [], mode: 0o644)
        kill(pid_t(first.pid), SIGKILL)
        // Down after the second end, whose code is a final one.
        try waitUntil("it is down") { try services.state("blue") == ServiceState(pid: nil, isWanted: false) }
        #expect(try #require(try stage.copy("blue")).reason == "exited with 3")
        #expect(
            try String(contentsOfFile: "\(stage.home)/exits", encoding: .utf8) == """
                restart copy 0 of web blue: killed by signal 9 (KILL); it is started again after 1s
                down copy 0 of web blue: exited with 3, 2 crashes in a row; it stays down

                """)
    }

    /// A generation that never takes over is not tried again and again.
    @Test(arguments: SupervisorKind.allCases) func failedStart(kind: SupervisorKind) throws {
        let stage = try Stage(.ordinary)
        stage.box.write("\(stage.home)/crash", [], mode: 0o644)
        let services = try Services(stage, kind) { folder in try write("blue", stage, kind, folder, finish: "") }
        try waitUntil("it is down") { try services.state("blue") == ServiceState(pid: nil, isWanted: false) }
        let copies = try stage.copies()
        #expect(copies.map(\.generationState) == ["failed"])
        #expect(copies.map(\.reason) == ["exited with 3"])
    }
}
