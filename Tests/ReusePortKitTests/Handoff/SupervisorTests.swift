import Foundation
import Testing

@testable import ReusePortKit

/// Services of real supervisors: starting the new one is the whole deployment.
@Suite struct SupervisorTests {
    @Test(arguments: Level.allCases)
    func runit(level: Level) throws {
        let sv = ByteString(try Tool.require("sv"))
        let stage = try Stage(level)
        let services = try Services(stage, "runsvdir", check: true)
        try exercise(
            services,
            start: { name in
                try stage.box.start(
                    program: sv.text, ["-w", "35", "start", "\(services.folder)/\(name)"], stage.asDeployer
                ).end()
            },
            state: { try runitState(services.file($0, "supervise/status")) })
    }

    @Test(arguments: Level.allCases)
    func s6(level: Level) throws {
        let svc = try Tool.require("s6-svc")
        let svstat = try Tool.require("s6-svstat")
        let stage = try Stage(level)
        let services = try Services(stage, "s6-svscan", notificationDescriptor: 5)
        try exercise(
            services,
            start: { name in
                try stage.box.start(
                    program: svc, ["-uwU", "-T", "35000", "\(services.folder)/\(name)"], stage.asDeployer
                ).end()
            },
            state: { name in
                let outcome = try stage.box.start(
                    program: svstat, ["-o", "pid,wantedup", "\(services.folder)/\(name)"], stage.asDeployer
                ).end()
                let words = outcome.output.text.split(whereSeparator: \.isWhitespace)
                guard words.count == 2 else { return nil }
                return ServiceState(pid: pid_t(words[0]).flatMap { $0 > 0 ? $0 : nil }, isWanted: words[1] == "true")
            })
    }

    private func exercise(
        _ services: Services, start: (String) throws -> Outcome, state: (String) throws -> ServiceState?
    ) throws {
        func expectStart(_ name: String, _ location: SourceLocation = #_sourceLocation) throws {
            let outcome = try start(name)
            #expect(outcome.exit == 0, "\(outcome.output.text)\(outcome.errors)", sourceLocation: location)
            // It says so when it is so, and not earlier.
            #expect(
                try services.stage.verb("check", ["web", "--generation", ByteString(name)]).exit == 0,
                sourceLocation: location)
        }
        let stage = services.stage
        try waitUntil("the services are supervised") { try state("green") != nil && state("blue") != nil }
        #expect(try stage.verb("check", ["web", "--generation", "blue"]).exit == 1)
        try expectStart("blue")

        let load = try Load(stage)
        for (new, old) in [("green", "blue"), ("blue", "green"), ("green", "blue")] {
            try expectStart(new)
            // The supervisor has been told not to start it again.
            try waitUntil("\(old) is down for good") { try state(old) == ServiceState(pid: nil, isWanted: false) }
        }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.labels == ["blue", "green"])

        // A crash is the supervisor's business, and the same generation's copy comes back into its place.
        let before = try #require(try state("green")?.pid)
        kill(before, SIGKILL)
        var after: pid_t?
        try waitUntil("green is back") {
            after = try state("green")?.pid
            guard let after, after != before else { return false }
            return try stage.verb("check", ["web", "--generation", "green"]).exit == 0
        }
        #expect(try stage.verb("wait", ["web", "--pid", ByteString(decimal: after!), "--timeout", "35s"]).exit == 0)
        let last = try Load(stage).stop()
        #expect(last.lost == 0, "\(last.summary)")
        #expect(last.byPID.keys.sorted() == ["\(after!)"])
        #expect(try stage.verb("count", ["web"]).output.text == "1\n")
        #expect(try state("blue") == ServiceState(pid: nil, isWanted: false))
    }
}

struct ServiceState: Equatable {
    let pid: pid_t?
    /// Whether the supervisor would start it again.
    let isWanted: Bool
}

/// The 20 bytes that runsv keeps: see its status.c.
func runitState(_ path: String) throws -> ServiceState? {
    guard let bytes = FileManager.default.contents(atPath: path), bytes.count >= 20 else { return nil }
    let pid = (0..<4).reduce(pid_t(0)) { $0 | pid_t(bytes[12 + $1]) << (8 * $1) }
    return ServiceState(pid: pid > 0 ? pid : nil, isWanted: bytes[17] == UInt8(ascii: "u"))
}

/// A folder with the services blue and green, and a supervisor for them.
final class Services {
    let stage: Stage
    let folder: String
    let supervisor: Running

    init(
        _ stage: Stage, _ program: String, check: Bool = false, notificationDescriptor: Int? = nil,
        options: [ByteString] = []
    ) throws {
        let program = try Tool.require(program)
        self.stage = stage
        folder = "\(stage.home)/services"
        let launcher = try stage.box.launcher()
        mkdir(folder, 0o755)
        for name in ["blue", "green"] {
            let service = "\(folder)/\(name)"
            mkdir(service, 0o755)
            var words: [ByteString] = [ByteString(launcher), "--app", "web", "--generation", ByteString(name)]
            words += ["--run-dir", stage.runDirectory] + stage.common + options
            if let notificationDescriptor {
                words += ["--notify-fd", ByteString(decimal: notificationDescriptor)]
                stage.box.write("\(service)/notification-fd", Array("\(notificationDescriptor)\n".utf8), mode: 0o644)
            }
            words += try ["--"] + stage.sampleServer(name)
            let command = words.map(\.text).joined(separator: " ")
            stage.box.write("\(service)/run", Array("#!/bin/sh\nexec 2>&1\nexec \(command)\n".utf8), mode: 0o755)
            stage.box.write("\(service)/down", [], mode: 0o644)
            if check {
                let command = "\(launcher) check web --generation \(name) --run-dir \(stage.runDirectory.text)"
                stage.box.write("\(service)/check", Array("#!/bin/sh\nexec \(command)\n".utf8), mode: 0o755)
            }
            if let owner = stage.deployer { chownTree(service, owner) }
        }
        if let owner = stage.deployer { chown(folder, owner, owner) }
        supervisor = try stage.box.start(
            program: program, [ByteString(folder)], environment: Sandbox.environment + [Services.mark(stage)],
            stage.asDeployer)
    }

    /// The supervisors put their services into sessions of their own; they are known by what they inherited.
    deinit {
        supervisor.kill()
        let mark = Data(Services.mark(stage).bytes)
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let pid = pid_t(name), let environment = FileManager.default.contents(atPath: "/proc/\(pid)/environ"),
                environment.split(separator: 0).contains(mark)
            else { continue }
            kill(pid, SIGKILL)
        }
    }

    private static func mark(_ stage: Stage) -> ByteString { "TEST_STAGE=\(stage.box.path)" }

    func file(_ service: String, _ name: String) -> String { "\(folder)/\(service)/\(name)" }
}

private func chownTree(_ path: String, _ owner: uid_t) {
    chown(path, owner, owner)
    for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] {
        chown("\(path)/\(name)", owner, owner)
    }
}
