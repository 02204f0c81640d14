import Foundation
import Testing

@testable import ReusePortKit

/// Deploys follow each other under load, and nobody loses a connection; without help some are lost.
@Suite struct DeployLossTests {
    static let deploys = 10

    @Test(arguments: Level.allCases, [false, true])
    func deploys(level: Level, isNode: Bool) throws {
        let stage = try Stage(level)
        let command: (String) throws -> [ByteString] = { isNode ? try stage.node($0) : try stage.sampleServer($0) }
        let times = isNode ? 2 : DeployLossTests.deploys
        try stage.deploy("1", copies: 4, command: try command("1"))
        let load = try Load(stage)
        for number in 2...times + 1 {
            try stage.deploy("\(number)", copies: 4, command: try command("\(number)"))
            let new = try stage.pids()
            #expect(new.count == 4)
            try stage.expectOnly(new)
        }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.labels == Set((1...times + 1).map { "\($0)" }))
    }

    @Test(arguments: [false, true])
    func withoutHelpSomeAreLost(isNode: Bool) throws {
        let stage = try Stage(.ordinary)
        let command: (String) throws -> [ByteString] = { isNode ? try stage.node($0) : try stage.sampleServer($0) }
        var live = try (0..<4).map { _ in try stage.startPlain("plain", command: try command("plain")) }
        var report = Report()
        for _ in 0..<8 {
            let load = try Load(stage)
            live = try stage.replacePlainCopies(live, times: 2, command: command)
            report = try load.stop()
            if report.lost > 0 { return }
        }
        Issue.record("without help nothing was lost either: \(report.summary)")
    }

    /// The control is the one above: copies that end under the same load.
    @Test(arguments: Level.allCases)
    func scaling(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", copies: 4)
        let first = try stage.pids()
        let load = try Load(stage)
        for count in [8, 2, 4] {
            try stage.change(["scale", "web", ByteString(decimal: count)])
            let live = try stage.live()
            #expect(live.map(\.copy) == Array(0..<count))
            #expect(live.allSatisfy { $0.state == "live" })
            // The first two were never restarted.
            #expect(Array(live.map(\.pid).prefix(2)) == Array(first.prefix(2)))
            try stage.expectOnly(live.map(\.pid))
            let before = load.recorded
            try waitUntil("some answers") { load.recorded > before + 5000 }
        }
        // Each of those that are there now has its share.
        let sample = try Load(stage).stop()
        let report = try load.stop()
        #expect(report.lost + sample.lost == 0, "\(report.summary)")
        #expect(Set(sample.byPID.keys) == Set(try stage.pids().map { "\($0)" }))
        #expect(report.byPID.count >= 8)
        // As many come with the next.
        try stage.change(["migrate", "web", "--generation", "2"])
        #expect(try stage.pids().count == 4)
    }

    @Test(arguments: Level.allCases)
    func migrateWithoutCommand(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy(nil, copies: 2, command: try stage.sampleServer("same"))
        let old = try stage.pids()
        let load = try Load(stage)
        for _ in 0..<3 { try stage.change(["migrate", "web"]) }
        let new = try stage.pids()
        #expect(new.count == 2 && Set(new).isDisjoint(with: old))
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.byPID.count == 8)
        try stage.expectOnly(new)
    }

    @Test func restartOneCopy() throws {
        let stage = try Stage(.privileged)
        try stage.deploy("1", copies: 3)
        let old = try stage.pids()
        let load = try Load(stage)
        for _ in 0..<3 { try stage.change(["restart", "web", "--copy", "1"]) }
        let new = try stage.pids()
        try #require(new.count == 3)
        #expect(new[0] == old[0] && new[1] != old[1] && new[2] == old[2])
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.byPID["\(new[1])"] != nil)
        try stage.expectOnly(new)
    }

    @Test(arguments: Level.allCases)
    func restartAll(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", copies: 2)
        let old = try stage.pids()
        try stage.change(["restart", "web"])
        let new = try stage.pids()
        #expect(new.count == 2 && Set(new).isDisjoint(with: old))
        try stage.expectOnly(new)
    }

    @Test func unixSocket() throws {
        let stage = try Stage(.ordinary, .unix)
        try stage.deploy("1")
        let load = try Load(stage)
        for number in 2...4 { try stage.deploy("\(number)") }
        // Only one of them could have the path.
        let live = try stage.pids()
        let more = try stage.change(["scale", "web", "2"], expect: 100)
        #expect(more.errors.contains("a path leads to one copy"), "\(more.errors)")
        #expect(try stage.pids() == live)
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.labels == ["1", "2", "3", "4"])
        #expect(stage.hiddenNames.isEmpty)
        try stage.expectOnly(live)
    }

    @Test(arguments: [Site.v6, .dualStack])
    func otherAddresses(site: Site) throws {
        let stage = try Stage(.privileged, site)
        try stage.deploy("1", copies: 2)
        let load = try Load(stage)
        for number in 2...3 { try stage.deploy("\(number)", copies: 2) }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.labels == ["1", "2", "3"])
    }
}
