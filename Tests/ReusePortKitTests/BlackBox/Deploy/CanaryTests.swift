import Foundation
import Testing

@testable import ReusePortKit

/// `deploy --canary`: a new generation gets a part of new connections, the one before it the others.
@Suite struct CanaryTests {
    /// Starts a deploy of a canary, and returns when it serves.
    private func canary(
        _ stage: Stage, _ percent: ByteString, _ options: [ByteString] = [], copies: Int = 2
    ) throws -> Running {
        let deploy = try stage.startDeploy(
            "new", copies: copies, ["--canary", percent, "--watch", "1h"] + options)
        try deploy.waitFor("is watched for")
        return deploy
    }

    /// Expects that the new generation gets this part of connections: within five standard deviations.
    private func expectShare(
        _ stage: Stage, _ percent: Double, _ location: SourceLocation = #_sourceLocation
    ) throws {
        let load = try Load(stage)
        try waitUntil("enough requests") { load.recorded > 4000 }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)", sourceLocation: location)
        let (all, share) = (Double(report.requests), percent / 100)
        let seen = Double(report.byLabel["new"] ?? 0)
        let deviation = (all * share * (1 - share)).squareRoot()
        #expect(
            abs(seen - all * share) <= 5 * deviation + 1, "\(seen) of \(all), not \(percent) %",
            sourceLocation: location)
    }

    /// Changed, promoted, and the one before has gone. Nothing is lost on the way.
    @Test(arguments: Level.allCases, [Site.v4, .dualStack])
    func promoted(level: Level, site: Site) throws {
        let stage = try Stage(level, site)
        try stage.deploy("old", copies: 3)
        let load = try Load(stage)
        let deploy = try canary(stage, "10")
        try expectShare(stage, 10)
        #expect(try stage.verb("state", ["web"]).output.text.contains("10 % of new connections, generation old"))
        try stage.change(["promote", "web", "60"])
        try expectShare(stage, 60)
        // Copies that come and go change nothing in that.
        try stage.change(["scale", "web", "3"])
        try expectShare(stage, 60)
        try stage.change(["promote", "web"])
        #expect(try deploy.end().exit == 0)
        #expect(try Load(stage).stop().labels == ["new"])
        try stage.expectOnly(try stage.pids())
        let report = try load.stop()
        #expect(report.lost == 0 && report.labels == ["old", "new"], "\(report.summary)")
        // A next one takes over as ever.
        try stage.deploy("next", copies: 2)
        try stage.expectOnly(try stage.pids())
        #expect(try Load(stage).stop().labels == ["next"])
    }

    /// It promotes itself when its time is over.
    @Test(arguments: Level.allCases)
    func promotesItself(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("old", copies: 2)
        try stage.deploy("new", copies: 2, ["--canary", "50", "--watch", "300ms"])
        try stage.expectOnly(try stage.pids())
        #expect(try Load(stage).stop().labels == ["new"])
        #expect(try stage.verb("promote", ["web"]).errors.contains("no canary of it serves"))
    }

    /// One that fails goes, and the one before has all connections again.
    @Test(arguments: Level.allCases, ["crash", "rollback"])
    func goesBack(level: Level, way: ByteString) throws {
        let stage = try Stage(level)
        try stage.deploy("old", copies: 2)
        let old = try stage.pids()
        let deploy = try canary(stage, "50")
        if way == "crash" {
            kill(try #require(try stage.live().first).pid, SIGKILL)
        } else {
            try stage.change(["rollback", "web"])
        }
        #expect(try deploy.end().exit == 1)
        try stage.expectOnly(old)
        #expect(try Load(stage).stop().labels == ["old"])
        try stage.deploy("next", copies: 2)
        #expect(try Load(stage).stop().labels == ["next"])
    }

    /// Each client stays on one side.
    @Test(arguments: Level.allCases)
    func byClient(level: Level) throws {
        let stage = try Stage(level)
        let balance: [ByteString] = ["--balance", "client-ip"]
        try stage.deploy("old", copies: 2, balance)
        let deploy = try canary(stage, "50", balance)
        for _ in 0..<3 { #expect(try Load(stage).stop().labels.count == 1) }
        try stage.change(["promote", "web"])
        #expect(try deploy.end().exit == 0)
    }

    /// If its deploy is killed the parts stay, no other generation comes, and promote retires the one before.
    @Test(arguments: Level.allCases)
    func deployKilled(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("old", copies: 2)
        let deploy = try canary(stage, "30")
        deploy.kill()
        _ = try deploy.end()
        try expectShare(stage, 30)
        let refused = try stage.deploy("next", copies: 2, expect: 1)
        #expect(refused.errors.contains("generation new is a canary beside old"), "\(refused.errors)")
        #expect(refused.errors.contains("reuseport-exec promote web, or rollback web"), "\(refused.errors)")
        let load = try Load(stage)
        try stage.change(["promote", "web"])
        try stage.expectOnly(try stage.pids())
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(try Load(stage).stop().labels == ["new"])
        try stage.deploy("next", copies: 2)
        #expect(try Load(stage).stop().labels == ["next"])
    }

    /// When the others crash it gets everything, and goes on alone.
    @Test(arguments: Level.allCases)
    func othersCrash(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("old", copies: 2)
        let old = try stage.pids()
        let deploy = try canary(stage, "50")
        for pid in old { kill(pid, SIGKILL) }
        #expect(try deploy.end().exit == 0)
        #expect(try Load(stage).stop().labels == ["new"])
        try stage.deploy("next", copies: 2)
        try stage.expectOnly(try stage.pids())
    }

    @Test func refused() throws {
        let stage = try Stage(.ordinary)
        func said(_ options: [ByteString]) throws -> String {
            try stage.deploy("1", options, expect: 100).errors
        }
        #expect(try said(["--canary", "5"]).contains("add --watch TIME"))
        #expect(try said(["--canary", "0", "--watch", "1m"]).contains("not a number from 1 to 99"))
        #expect(
            try said(["--canary", "5", "--watch", "1m", "--steering", "off", "--ready", "none"]).contains(
                "only TCP connections that are steered"))
    }
}
