import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// Services as deploy writes them, under real supervisors.
@Suite struct WrittenServiceTests {
    private func service(
        _ label: String, copies: Int = 1, copy: Int = 0, _ stage: Stage, _ options: [ByteString] = [],
        command: [ByteString]? = nil
    ) throws -> Service {
        var words: [ByteString] = [ByteString(try stage.box.launcher()), "--app", "web", "--generation"]
        words += [ByteString(label), "--copies", ByteString(decimal: copies), "--copy", ByteString(decimal: copy)]
        words += ["--run-dir", stage.runDirectory] + stage.common + options
        words += try ["--"] + (command ?? stage.sampleServer(label))
        let service = Service(
            app: "web", label: ByteString(label), copy: copy, command: words, workingDirectory: ByteString(stage.home))
        service.runDirectory = stage.runDirectory
        service.logDirectory = ByteString("\(stage.home)/logs")
        return service
    }

    private func names(_ services: Services) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: services.folder)
            .filter { $0 != ".s6-svscan" }.sorted()
    }

    private func isGone(_ pid: pid_t) -> Bool { !FileManager.default.fileExists(atPath: "/proc/\(pid)/stat") }

    private func deploy(_ services: [Service], _ stage: Stage, on target: SupervisionTarget) throws {
        for service in services { try writeService(service, on: target) }
        try startServices(services, on: target)
        let outcome = try stage.wait(["--generation", services[0].label])
        #expect(outcome.exit == 0, "\(outcome.errors) \(serviceOutput(services[0], on: target).map(\.text))")
    }

    @Test(arguments: SupervisorKind.allCases) func lifeAndDeath(kind: SupervisorKind) throws {
        try Tool.requireRoot()
        let stage = try Stage(.privileged)
        let services = try Services(stage, kind)
        let target = kind.target(services.folder)
        let blue = try service("blue", stage)
        try writeService(blue, on: target)
        try startServices([blue], on: target)
        try waitUntil("blue serves") { try stage.copy("blue")?.state == "live" }

        // It is its supervisor's child, logged, and started again.
        let first = try #require(try stage.copy("blue"))
        try waitUntil("it is logged") {
            serviceOutput(blue, on: target).contains { $0.text.contains("took over") || $0.text.contains("ready") }
        }
        kill(pid_t(first.pid), SIGKILL)
        try waitUntil("blue is back") {
            try stage.copy("blue").map { $0.state == "live" && $0.pid != first.pid } ?? false
        }
        #expect(try #require(try stage.copy("blue")).crashes == 1)
        #expect(throws: Failure.self) { try writeService(blue, on: target) }

        // The next generation has two copies; blue is retired, ends, and its directory is removed by itself.
        let load = try Load(stage)
        let green = try (0..<2).map { try service("green", copies: 2, copy: $0, stage) }
        try deploy(green, stage, on: target)
        try waitUntil("blue's directory has gone") {
            try names(services).filter { $0.contains("blue") }.isEmpty
        }
        #expect(try supervisedCopies(app: "web", on: target).map { $0.copy } == [0, 1])
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.labels == ["blue", "green"])

        // Nothing of what runs is removed.
        try removeServices(app: "web", on: target) { _, _ in true }
        #expect(try names(services) == ["web-green-0", "web-green-1"])
        let pids = try stage.copies().filter { $0.label == "green" }.map(\.pid)
        #expect(pids.count == 2)
        try takeDown(green, on: target)
        #expect(try names(services) == [])
        #expect(pids.allSatisfy(isGone))
        // Again, for nothing is there any more.
        try takeDown(green, on: target)
    }

    /// Values of `--env` are in a file of the service, and not in a command that everybody can see in the process list.
    @Test(arguments: SupervisorKind.allCases) func secrets(kind: SupervisorKind) throws {
        try Tool.requireRoot()
        let stage = try Stage(.privileged)
        let services = try Services(stage, kind)
        try stage.deploy("1", services.deployOptions + ["--env", "TOKEN=hunter2\n{fd:http}"])
        func expectSecret(_ copies: [Int]) throws {
            for copy in copies {
                let folder = "\(services.folder)/web-1-\(copy)"
                let run = try String(contentsOfFile: "\(folder)/run", encoding: .utf8)
                #expect(!run.contains("hunter2") && !run.contains("--env "), "\(run)")
                #expect(try #require(stage.box.status("\(folder)/environment")).st_mode & 0o777 == 0o600)
            }
            #expect(
                try stage.pids().map { pid in
                    let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/environ") ?? Data()
                    return bytes.split(separator: 0).filter { $0.starts(with: Data("TOKEN=".utf8)) }
                        .map { String(decoding: $0, as: UTF8.self) }
                } == copies.map { _ in ["TOKEN=hunter2\n3"] })
        }
        try expectSecret([0])
        // A service of an earlier version has them in its command alone.
        let run = "\(services.folder)/web-1-0/run"
        let text = try String(contentsOfFile: run, encoding: .utf8)
        stage.box.write("\(services.folder)/web-1-0/environment", Array("A=1".utf8), mode: 0o600)
        stage.box.write(
            run, Array(text.replacingOccurrences(of: " --copies ", with: " --env TOKEN=old --copies ").utf8),
            mode: 0o700)
        try stage.change(["scale", "web", "2"])
        try expectSecret([0, 1])
        try stage.change(["restart", "web"])
        try expectSecret([0, 1])
    }

    /// A generation that fails is down by itself, and says why in its log.
    @Test(arguments: SupervisorKind.allCases) func failure(kind: SupervisorKind) throws {
        try Tool.requireRoot()
        let stage = try Stage(.privileged)
        let services = try Services(stage, kind)
        let target = kind.target(services.folder)
        let bad = try service(
            "bad", stage, command: ["/bin/sh", "-c", "echo the database is not there; exit 3"])
        try writeService(bad, on: target)
        try startServices([bad], on: target)
        try waitUntil("it has failed") { try stage.copies().first?.generationState == "failed" }
        try waitUntil("its directory has gone") { try names(services) == [] }
        try waitUntil("it is logged") {
            serviceOutput(bad, on: target).contains("the database is not there")
        }
        #expect(serviceOutput(bad, on: target, lines: 1).count == 1)
        try takeDown([bad], on: target)

        // One that hangs is taken down.
        let slow = try service(
            "slow", stage, ["--ready", "notify"], command: ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
        slow.stopTimeout = Milliseconds(200)
        try writeService(slow, on: target)
        try startServices([slow], on: target)
        try waitUntil("it runs") { try stage.copy("slow")?.state == "starting" }
        let pid = try #require(try stage.copy("slow")).pid
        try takeDown([slow], on: target)
        // Its finish script has removed it from sight; what is hidden goes with the supervisor.
        #expect(try names(services).allSatisfy { $0.hasPrefix(".") })
        try waitUntil("its directory has gone") { try names(services) == [] }
        #expect(isGone(pid))
    }

    /// Before runsvdir has looked, and where no supervisor runs.
    @Test(arguments: SupervisorKind.allCases) func takenDownUnseen(kind: SupervisorKind) throws {
        let stage = try Stage(.ordinary)
        let folder = stage.box.makeDirectory("scan")
        let service = try service("blue", stage)
        service.logDirectory = ByteString(stage.box["logs"])
        try writeService(service, on: kind.target(folder))
        try takeDown([service], on: kind.target(folder))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
    }

    /// The services of examples/, as they are.
    @Test(arguments: Level.allCases, SupervisorKind.allCases) func examples(level: Level, kind: SupervisorKind) throws {
        let stage = try Stage(level)
        let source = "\(Tool.package)/examples/\(kind)"
        // What stands for /srv.
        for name in ["blue", "green"] {
            mkdir(stage.box["web-\(name)"], 0o755)
            let server = try stage.sampleServer(name).map(\.text).joined(separator: " ")
            stage.box.write("web-\(name)/server", "#!/bin/sh\nexec \(server)\n", mode: 0o755)
        }
        let environment: [ByteString] = [
            "PATH=\(stage.box["bin"]):/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
            "WEB_RUN_DIR=\(stage.runDirectory.text)", "WEB_ADDRESS=127.0.0.1:\(stage.port)",
            "WEB_USER=\(level == .privileged ? "nobody" : "")", "WEB_ROOT=\(stage.box.path)",
            "WEB_LOG=\(stage.home)/log",
        ].map { ByteString($0) }
        let services = try Services(stage, kind, environment: environment) { folder in
            for name in ["web-blue", "web-green"] {
                try copyTree("\(source)/\(name)", to: "\(folder)/\(name)")
            }
        }
        try waitUntil("they are supervised") {
            try services.state("web-blue") != nil && services.state("web-green") != nil
        }
        func expectStart(_ name: String, _ location: SourceLocation = #_sourceLocation) throws {
            let outcome = try services.start("web-\(name)")
            #expect(outcome.exit == 0, "\(outcome.output.text)\(outcome.errors)", sourceLocation: location)
            // It says so when it is so, and not earlier.
            #expect(
                try stage.verb("check", ["web", "--generation", ByteString(name)]).exit == 0,
                sourceLocation: location)
        }
        try expectStart("blue")
        let load = try Load(stage)
        for (new, old) in [("green", "blue"), ("blue", "green")] {
            try expectStart(new)
            try waitUntil("\(old) is down for good") {
                try services.state("web-\(old)") == ServiceState(pid: nil, isWanted: false)
            }
        }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        let before = try #require(try stage.copy("blue"))
        kill(pid_t(before.pid), SIGSEGV)
        try waitUntil("blue is back") {
            try stage.copy("blue").map { $0.state == "live" && $0.pid != before.pid } ?? false
        }
        #expect(try #require(try stage.copy("blue")).crashes == 1)
        #expect(try services.state("web-green") == ServiceState(pid: nil, isWanted: false))
        #expect(stage.box.exists("\(stage.home)/log/blue/current"))
    }
}
