import Foundation
import Testing

@testable import ReusePortKit

/// `forget`: nothing is left of an app that has ended, and one that has not is left alone.
@Suite struct ForgetTests {
    private func refusal(_ stage: Stage) throws -> String {
        let outcome = try stage.verb("forget", ["web"])
        #expect(outcome.exit == 1, "\(outcome.errors)")
        return outcome.errors
    }

    private func expectForgotten(_ stage: Stage, _ location: SourceLocation = #_sourceLocation) throws {
        let path = "\(stage.logPath)"
        let left = stage.box.exists(path) ? "reuseport-exec: info: web: the log stays: \(path)\n" : ""
        let outcome = try stage.verb("forget", ["web"])
        #expect(outcome.exit == 0 && outcome.errors == left, "\(outcome.errors)", sourceLocation: location)
        #expect(!stage.box.exists("\(stage.home)/run/web"), sourceLocation: location)
        #expect(try stage.verb("list").output.text.split(separator: "\n").count == 1, sourceLocation: location)
        #expect(try stage.verb("forget", ["web"]).exit == 1, sourceLocation: location)
    }

    @Test(arguments: Level.allCases)
    func refusedAndDone(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("blue", copies: 2)
        try stage.deploy("green", copies: 2)
        let said = try refusal(stage)
        let pids = try stage.pids()
        #expect(said.contains("copy 0 of generation green, pid \(pids[0]), is live"), "\(said)")
        #expect(said.contains("terminate web"), "\(said)")
        #expect(try stage.ask().contains("label: green"))
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        try expectForgotten(stage)
        // The file of --log is the operator's.
        #expect(stage.box.exists(stage.logPath))
        try stage.deploy("blue")
        #expect(try stage.ask().contains("label: blue"))
    }

    /// The process has ended, and a child of it has the listener.
    @Test func listenerThatIsLeft() throws {
        let stage = try Stage(.privileged)
        try stage.deploy(
            "blue",
            command: [
                "/bin/sh", "-c", "sleep 1000 & exec \"$@\"", "sh",
            ] + (try stage.sampleServer("blue")))
        kill_(try stage.pid())
        try waitUntil("it is abandoned") { try stage.copy("blue")?.state == "abandoned" }
        #expect(try refusal(stage).contains("is abandoned"))
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        try expectForgotten(stage)
    }

    @Test(arguments: Level.allCases)
    func unixSockets(level: Level) throws {
        let stage = try Stage(level, .unix)
        try stage.deploy("blue")
        kill_(try stage.pid())
        try waitUntil("it has ended") { try stage.copies().allSatisfy { $0.state == "ended" } }
        try expectForgotten(stage)
        #expect(stage.hiddenNames.isEmpty)
    }

    @Test(arguments: SupervisorKind.allCases)
    func supervised(kind: SupervisorKind) throws {
        let stage = try Stage(.privileged)
        let services = try Services(stage, kind)
        try stage.deploy("blue", copies: 2, services.deployOptions)
        #expect(try refusal(stage).contains("is live"))
        let other = "\(stage.home)/logs/other"
        mkdir(other, 0o755)
        // A copy that its supervisor is about to start again.
        for copy in 0..<2 { try services.stop("web-blue-\(copy)") }
        try waitUntil("both have ended") { try stage.copies().allSatisfy { $0.state == "ended" } }
        let said = try refusal(stage)
        #expect(said.contains("the supervisor of copy 0 of generation blue is about to start it again"), "\(said)")
        #expect(stage.box.exists("\(stage.home)/logs/blue-0/current"))
        let ended = try stage.verb("terminate", ["web"])
        #expect(ended.exit == 0 && ended.errors.hasSuffix("generation blue has gone\n"), "\(ended.errors)")
        try expectForgotten(stage)
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(stage.home)/logs") == ["other"])
        let left = try FileManager.default.contentsOfDirectory(atPath: services.folder)
        #expect(left.filter { $0.hasPrefix("web") } == [])
    }

    /// A log folder whose place is taken by a link is not followed.
    @Test func linkInTheLogs() throws {
        let stage = try Stage(.privileged)
        let services = try Services(stage, .s6)
        try stage.deploy("blue", services.deployOptions)
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        let logs = "\(stage.home)/logs"
        let precious = stage.box.makeDirectory("precious")
        stage.box.write("precious/file", "kept")
        rename("\(logs)/blue-0", "\(logs)/moved")
        #expect(symlink(precious, "\(logs)/blue-0") == 0)
        try expectForgotten(stage)
        #expect(stage.box.exists("precious/file") && stage.box.exists("\(logs)/moved"))
    }
}

private func kill_(_ pid: pid_t) { kill(pid, SIGKILL) }
