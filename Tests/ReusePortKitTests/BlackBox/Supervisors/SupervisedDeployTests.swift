import Foundation
import Testing

@testable import ReusePortKit

/// `deploy --on`, with real supervisors that start, log and restart the copies.
@Suite struct SupervisedDeployTests {
    func names(_ services: Services) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: services.folder)
            .filter { !$0.hasPrefix(".") }.sorted()
    }

    func expectServices(
        _ services: Services, _ wanted: [String], _ location: SourceLocation = #_sourceLocation
    ) throws {
        do {
            try waitUntil("services \(wanted)") { try names(services) == wanted.sorted() }
        } catch {
            let logs = try? services.stage.box.start(
                program: "/bin/sh",
                ["-c", "tail -n 5 \(services.stage.home)/logs/*/current; ps -ef | grep \(services.folder)"]
            ).end().output.text
            Issue.record(
                "\(try names(services)), and not \(wanted): \(logs ?? "") \(try services.stage.verb("list").output.text)",
                sourceLocation: location)
        }
    }

    func supervised(_ kind: SupervisorKind, _ level: Level = .privileged) throws -> (Stage, Services) {
        let stage = try Stage(level)
        return (stage, try Services(stage, kind))
    }

    /// The control of the load is in DeployLossTests: four copies without help lose.
    @Test(arguments: SupervisorKind.allCases)
    func loss(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind)
        try stage.deploy("1", copies: 4, services.deployOptions)
        let load = try Load(stage)
        for number in 2...11 {
            try stage.change(["migrate", "web", "--generation", ByteString(decimal: number)])
            #expect(try stage.live().map(\.state) == ["live", "live", "live", "live"])
        }
        try expectServices(services, (0..<4).map { "web-11-\($0)" })
        for count in [8, 2, 4] {
            try stage.change(["scale", "web", ByteString(decimal: count)])
            #expect(try stage.live().map(\.copy) == Array(0..<count))
            try expectServices(services, (0..<count).map { "web-11-\($0)" })
        }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.labels == ["1"] && report.byPID.count >= 40, "\(report.byPID.count)")

        // What is started again after all this counts as many as there are now.
        for copy in try stage.live() { kill_(copy.pid) }
        try waitUntil("all are back") {
            try stage.live().map(\.state) == ["live", "live", "live", "live"]
        }
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        try expectServices(services, [])
    }

    @Test(arguments: SupervisorKind.allCases)
    func withoutRights(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind, .ordinary)
        try stage.deploy("1", copies: 2, services.deployOptions)
        let load = try Load(stage)
        for _ in 0..<2 { try stage.change(["migrate", "web"]) }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        try expectServices(services, [])
    }

    @Test(arguments: SupervisorKind.allCases)
    func respawnAndRestart(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind)
        try stage.deploy("1", copies: 2, services.deployOptions)
        let first = try stage.pids()
        kill_(first[1])
        try waitUntil("copy 1 is back") {
            let now = try stage.live()
            return now.map(\.state) == ["live", "live"] && now[1].pid != first[1]
        }
        #expect(try stage.pids()[0] == first[0])
        let load = try Load(stage)
        let before = try stage.pids()
        try stage.change(["restart", "web", "--copy", "0"])
        #expect(try stage.pids()[0] != before[0] && stage.pids()[1] == before[1])
        let second = try stage.pids()
        let inTurn = try stage.change(["restart", "web"])
        #expect(!inTurn.errors.contains("refused"), "\(inTurn.errors)")
        let third = try stage.pids()
        #expect(third.count == 2 && Set(third).isDisjoint(with: second))
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        let atOnce = try stage.change(["restart", "web", "--at-once"])
        #expect(atOnce.errors.contains("clients are refused"), "\(atOnce.errors)")
        #expect(Set(try stage.pids()).isDisjoint(with: third))
    }

    @Test(arguments: SupervisorKind.allCases)
    func failures(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind)
        try stage.deploy("good", copies: 2, services.deployOptions)
        let old = try stage.pids()
        let load = try Load(stage)
        let failing = try stage.deploy(
            "bad", copies: 3, services.deployOptions, command: ["/bin/sh", "-c", "echo out of luck; exit 3"], expect: 1)
        #expect(failing.errors.contains("exited with 3"), "\(failing.errors)")
        #expect(failing.errors.contains("out of luck"), "\(failing.errors)")
        try expectServices(services, ["web-good-0", "web-good-1"])
        let missing = try stage.deploy("none", copies: 2, services.deployOptions, command: ["/no/such"], expect: 1)
        #expect(missing.errors.contains("127") || missing.errors.contains("no such file"), "\(missing.errors)")
        let said = "Error: listen EADDRINUSE: address already in use 0.0.0.0:\(stage.port)"
        let busy = try stage.deploy(
            "busy", services.deployOptions, command: ["/bin/sh", "-c", "echo '\(ByteString(said))'; exit 1"], expect: 1)
        #expect(busy.errors.contains("; it binds \(stage.port) by itself: add --pass adopt"), "\(busy.errors)")
        let late = try stage.deploy(
            "late", copies: 2, services.deployOptions + ["--ready-timeout", "500ms", "--env", "SAMPLE_BOOT_MS=60000"],
            expect: 1)
        let last = String(late.errors.split(separator: "\n").last ?? "")
        #expect(last.contains(": copy ") && last.contains(": not ready after "), "\(late.errors)")
        try expectServices(services, ["web-good-0", "web-good-1"])

        // Interrupted while it waits.
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let deploy = try stage.startDeploy(
                "slow-\(signal)", copies: 2, services.deployOptions + ["--env", "SAMPLE_BOOT_MS=60000"])
            try waitUntil("its copies are there") { try stage.generation("slow-\(signal)")?.running.count == 2 }
            deploy.signal(signal)
            let outcome = try deploy.end()
            #expect(outcome.exit == 1 && outcome.errors.contains("interrupted"), "\(outcome.errors)")
            try expectServices(services, ["web-good-0", "web-good-1"])
        }
        #expect(try stage.pids() == old)
        try stage.change(["migrate", "web", "--generation", "next"])
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        try expectServices(services, ["web-next-0", "web-next-1"])
    }

    /// The launcher fails before its copy is known: this host does not have the address.
    @Test(arguments: SupervisorKind.allCases)
    func launcherFails(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind)
        try stage.deploy("good", services.deployOptions)
        let failed = try stage.deploy("bad", services.deployOptions + ["--socket", "more:192.0.2.1:8080"], expect: 1)
        #expect(failed.errors.contains("unable to bind"), "\(failed.errors)")
        try expectServices(services, ["web-good-0"])
        try stage.change(["migrate", "web", "--generation", "next"])
        try expectServices(services, ["web-next-0"])
    }

    /// Nobody waits any more, but the copies hand over by themselves; the next deploy finds everything in order.
    @Test(arguments: SupervisorKind.allCases)
    func killed(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind)
        try stage.deploy("1", copies: 2, services.deployOptions)
        let load = try Load(stage)
        let deploy = try stage.startDeploy("2", copies: 2, services.deployOptions + ["--env", "SAMPLE_BOOT_MS=500"])
        try waitUntil("its copies are there") { try stage.generation("2")?.running.count == 2 }
        deploy.kill()
        try waitUntil("they have taken over") { try stage.generation("2")?.state == "live" }
        try stage.deploy("3", copies: 2, services.deployOptions)
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        try expectServices(services, ["web-3-0", "web-3-1"])
        try stage.change(["migrate", "web", "--generation", "4"])
        try expectServices(services, ["web-4-0", "web-4-1"])
    }

    /// The supervisor of all services ends in the middle of a deploy, and is started again.
    @Test(arguments: SupervisorKind.allCases)
    func supervisorRestarted(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind)
        try stage.deploy("1", copies: 2, services.deployOptions)
        let old = try stage.pids()
        let load = try Load(stage)
        let deploy = try stage.startDeploy("2", copies: 2, services.deployOptions + ["--env", "SAMPLE_BOOT_MS=1000"])
        try waitUntil("its copies are there") { try stage.generation("2")?.running.count == 2 }
        // Only that one process.
        kill(services.supervisor.pid, SIGKILL)
        let outcome = try deploy.end()
        // Those that watch the services live on; whichever way it ends, somebody serves and it is said who.
        if outcome.exit == 0 {
            #expect(try stage.generation("2")?.state == "live")
        } else {
            #expect(outcome.exit == 1 || outcome.exit == 111, "\(outcome.errors)")
            #expect(try stage.pids() == old, "\(outcome.errors)")
        }
        let again = try services.again()
        try stage.deploy("3", copies: 2, services.deployOptions)
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(try stage.generation("3")?.state == "live")
        again.kill()
    }

    /// After a reboot nothing is known any more, and the supervisor starts what is there.
    @Test(arguments: SupervisorKind.allCases)
    func reboot(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind)
        try stage.deploy("1", copies: 3, services.deployOptions)
        try stage.change(["scale", "web", "2"])
        try expectServices(services, ["web-1-0", "web-1-1"])
        services.supervisor.kill()
        try waitUntil("everything has ended") {
            stage.endDeployed()
            return stage.marked().allSatisfy { state(of: $0.pid) == "Z" }
        }
        try FileManager.default.removeItem(atPath: stage.runDirectory.text)
        let again = try services.again()
        try waitUntil("all serve again") {
            guard (try? stage.verb("check", ["web"]))?.exit == 0 else { return false }
            return try stage.live().map(\.state) == ["live", "live"]
        }
        try stage.deploy("2", copies: 2, services.deployOptions)
        try expectServices(services, ["web-2-0", "web-2-1"])
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        try expectServices(services, [])
        again.kill()
    }

    /// `boot` writes the services again that a reboot has removed.
    @Test(arguments: SupervisorKind.allCases)
    func atBoot(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind)
        let kept: [ByteString] = ["--state-dir", "\(stage.home)/kept"]
        try stage.deploy("1", copies: 2, services.deployOptions + kept + ["--at-boot"])
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        try expectServices(services, [])
        try FileManager.default.removeItem(atPath: stage.runDirectory.text)
        try stage.launch(["boot"] + kept).endWell()
        #expect(try stage.live().map(\.state) == ["live", "live"])
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        try expectServices(services, [])
    }

    /// The supervisors of the old copies were told not to start them again; those start them again when these are back.
    @Test(arguments: SupervisorKind.allCases)
    func rolledBackWhileItDrains(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind)
        try stage.deploy("1", services.deployOptions)
        let old = try stage.pid()
        let client = try stage.box.start(
            program: "/bin/bash", ["-c", "exec 3<>/dev/tcp/127.0.0.1/\(stage.port); echo up; exec sleep 1000"])
        try client.waitFor("up")
        try waitUntil("it is accepted") {
            try establishedConnections(toLocalPort: stage.port).contains { $0.inode != 0 }
        }
        let deploy = try stage.startDeploy("2", services.deployOptions + ["--drain", "1h"])
        try waitUntil("it takes over") { try stage.ask().contains("label: 2") }
        try stage.change(["rollback", "web"])
        client.kill()
        _ = try client.end()
        let said = try deploy.end()
        #expect(said.exit == 1 && said.errors.contains("generation 1 serves on"), "\(said.errors)")
        try expectServices(services, ["web-1-0"])
        #expect(try stage.pid() == old)
        kill_(old)
        try waitUntil("it is started again") { try stage.live().contains { $0.pid != old && $0.state == "live" } }
        #expect(try stage.ask().contains("label: 1"))
    }

    /// A copy that fails does not take those with it that were added beside it and serve.
    @Test(arguments: SupervisorKind.allCases)
    func oneOfTheAddedFails(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind)
        let server = joined(try stage.sampleServer("1").map { quotedForShell([$0]) }, by: " ")
        let late: ByteString = "if [ $COPY = 2 ]; then until [ -e \(stage.home)/go ]; do sleep 0.1; done; exit 3; fi"
        try stage.deploy(
            "1", services.deployOptions + ["--env", "COPY={copy}"],
            command: ["/bin/sh", "-c", "\(late); exec \(server)"])
        let scale = try stage.launch(["scale", "web", "3", "--run-dir", stage.runDirectory])
        try waitUntil("copy 1 serves") { try stage.live().contains { $0.copy == 1 && $0.state == "live" } }
        let added = try stage.pid(1)
        stage.box.write("\(stage.home)/go", [UInt8](), mode: 0o644)
        let said = try scale.end()
        #expect(said.exit == 1 && said.errors.contains("unable to add to generation 1"), "\(said.errors)")
        #expect(try stage.pid(1) == added && !hasEnded(added))
    }

    /// Two hand-written generations that are both started: one of them serves in the end, and a deploy takes over.
    @Test(arguments: SupervisorKind.allCases)
    func blueAndGreenAtOnce(kind: SupervisorKind) throws {
        let stage = try Stage(.privileged)
        let services = try Services(stage, kind) { folder in
            for name in ["blue", "green"] {
                try writeByHand(name, stage, kind, "\(folder)/\(name)")
                unlink("\(folder)/\(name)/down")
            }
        }
        try waitUntil("one has replaced the other") {
            guard try stage.verb("check", ["web"]).exit == 0 else { return false }
            let all = try stage.generations()
            return all.count == 2 && Set(all.map(\.state)).isSubset(of: ["live", "ended", "retired"])
                && all.filter { $0.state == "live" }.count == 1
        }
        let load = try Load(stage)
        try stage.deploy("3", copies: 2, services.deployOptions)
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(try names(services) == ["blue", "green", "web-3-0", "web-3-1"])
        for name in ["blue", "green"] {
            try waitUntil("\(name) is down for good") {
                try services.state(name) == ServiceState(pid: nil, isWanted: false)
            }
        }
    }

    @Test(arguments: SupervisorKind.allCases)
    func suspended(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind)
        try stage.deploy("1", copies: 2, services.deployOptions)
        let load = try Load(stage)
        try stage.change(["suspend", "web"])
        let standing = try stage.live()
        #expect(standing.count == 2 && standing.allSatisfy { isStopped($0.pid) })
        // What is started again stands still as well.
        kill_(standing[0].pid)
        try waitUntil("copy 0 is back") {
            let now = try stage.live()
            return now.map(\.state) == ["live", "live"] && now[0].pid != standing[0].pid
        }
        #expect(try stage.live().allSatisfy { isStopped($0.pid) })
        try stage.change(["resume", "web"])
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(try stage.live().allSatisfy { !isStopped($0.pid) })
    }

    /// One after the other: none removes what another has just written, or brings back what another has replaced.
    @Test(arguments: SupervisorKind.allCases)
    func severalAtOnce(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind)
        try stage.deploy("first", copies: 2, services.deployOptions)
        let load = try Load(stage)
        for round in 0..<3 {
            let deploys = try ["a", "b"].map {
                try stage.startDeploy(
                    "\($0)\(round)", copies: 2, services.deployOptions, command: try stage.sampleServer("1"))
            }
            let scale = try stage.launch(["scale", "web", "3", "--run-dir", stage.runDirectory])
            for one in deploys + [scale] {
                let outcome = try one.end()
                #expect(outcome.exit == 0, "\(outcome.errors)")
            }
            // What runs the finish script is waited for.
            for count in ["1", "3", "2"] as [ByteString] { try stage.change(["scale", "web", count]) }
        }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        let label = try #require(try stage.generations().last { $0.state == "live" }?.generation)
        try expectServices(services, ["web-\(label)-0", "web-\(label)-1"])
        #expect(try stage.generations().allSatisfy { $0.state != "failed" })
    }

    /// What its supervisor is about to start again does not run, and is ended all the same.
    @Test(arguments: SupervisorKind.allCases, ["retire", "terminate"] as [ByteString])
    func endedBetweenCrashes(kind: SupervisorKind, verb: ByteString) throws {
        let (stage, services) = try supervised(kind)
        try stage.deploy("1", services.deployOptions)
        for count in 1...3 {
            try waitUntil("it runs") { try stage.live().map(\.state) == ["live"] }
            kill_(try stage.pid())
            try waitUntil("it has crashed") { try stage.copy("1").map { $0.crashes >= count } ?? false }
        }
        let outcome = try stage.verb(verb, ["web"])
        #expect(outcome.exit == 0, "\(outcome.errors)")
        try expectServices(services, [])
        #expect(try stage.generations().map(\.state) == ["ended"])
    }

    /// A copy that is started again is what was deployed, whatever has become of the file since.
    @Test func configurationIsKept() throws {
        let (stage, services) = try supervised(.s6)
        let path = "\(stage.home)/web.conf"
        func write(_ label: String) throws {
            let command = try stage.sampleServer(label).map(\.text).joined(separator: " ")
            let target = "\(services.kind.testDescription):\(services.folder)"
            stage.box.write(
                path,
                Array(
                    """
                    app: web
                    socket: \(stage.socket.text)
                    run-dir: \(stage.runDirectory.text)
                    copies: 2
                    on: \(target)
                    log: logs
                    user: nobody
                    command: \(command)

                    """.utf8), mode: 0o644)
        }
        try write("old")
        let first = try stage.launch(["deploy", "--config", ByteString(path)]).end()
        #expect(first.exit == 0, "\(first.errors)")
        try write("new")
        let pids = try stage.pids()
        kill_(pids[0])
        try waitUntil("copy 0 is back") {
            let now = try stage.live()
            return now.map(\.state) == ["live", "live"] && now[0].pid != pids[0]
        }
        #expect(try Load(stage).stop().labels == ["old"])
        stage.box.write(path, Array("app: web\nsockets: x\n".utf8), mode: 0o644)
        let broken = try stage.launch(["migrate", "--config", ByteString(path)]).end()
        #expect(broken.exit == 100 && broken.errors.contains("\(path):2:1"), "\(broken.errors)")
        #expect(try Load(stage).stop().labels == ["old"])
        try write("new")
        try stage.change(["migrate", "web"])
        #expect(try Load(stage).stop().labels == ["new"])
        #expect(try stage.verb("terminate", ["--config", ByteString(path)]).exit == 0)
        try expectServices(services, [])
    }
}

private func kill_(_ pid: pid_t) { kill(pid, SIGKILL) }

extension Services {
    /// The supervisor, started again.
    func again() throws -> Running {
        let scanner = try stage.box.start(
            program: try Tool.require(kind.scanner), [ByteString(folder)],
            environment: Sandbox.environment + [stage.mark], stage.asDeployer)
        try awaitScanner()
        return scanner
    }
}
