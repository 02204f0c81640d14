import Foundation
import Testing

@testable import ReusePortKit

/// Servers that end at once on the stop signal: they lose nothing with `--drain`, and without it they are reported.
@Suite struct DrainTests {
    private let warning = "of its connections waiting for an answer: use --drain TIME"

    private func careless(_ stage: Stage, _ label: ByteString, seconds: ByteString = "1") throws -> [ByteString] {
        try stage.python("careless.py", ["{fd:http}", label, seconds])
    }

    /// How many requests of a load are lost by some deploys, or by those until the first is lost.
    private func lost(_ stage: Stage, _ options: [ByteString], deploys: Int, copies: Int? = 2) throws -> Int {
        try stage.deploy("1", copies: copies, options, command: try careless(stage, "1"))
        for number in 2...deploys + 1 {
            let load = try Load(stage, connections: 16, path: "/")
            let label = "\(number)"
            try stage.deploy(label, copies: copies, options, command: try careless(stage, ByteString(label)))
            let lost = try load.stop().lost
            if lost > 0 { return lost }
        }
        return 0
    }

    @Test(arguments: Level.allCases) func nothingIsLost(level: Level) throws {
        #expect(try lost(try Stage(level), ["--drain", "30s"], deploys: 3) == 0)
    }

    @Test func nothingIsLostOfUnixSockets() throws {
        #expect(try lost(try Stage(.ordinary, .unix), ["--drain", "30s"], deploys: 3, copies: nil) == 0)
    }

    /// Who leads back while the old one's connections have time to end gets it back, and it stays.
    @Test(arguments: Level.allCases) func rolledBack(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1")
        let old = try stage.pids()
        let client = try stage.box.start(
            program: "/bin/bash", ["-c", "exec 3<>/dev/tcp/127.0.0.1/\(stage.port); echo up; exec sleep 1000"])
        try client.waitFor("up")
        try waitUntil("it is accepted") {
            try establishedConnections(toLocalPort: stage.port).contains { $0.inode != 0 }
        }
        let deploy = try stage.startDeploy("2", ["--drain", "1h"])
        try waitUntil("it takes over") { try stage.ask().contains("label: 2") }
        try stage.change(["rollback", "web"])
        client.kill()
        _ = try client.end()
        let said = try deploy.end()
        #expect(said.exit == 1 && said.errors.contains("it was rolled back; generation 1 serves on"), "\(said.errors)")
        try stage.expectOnly(old)
        #expect(try stage.ask().contains("label: 1"))
    }

    /// The control.
    @Test(arguments: Level.allCases) func withoutItSomeAreLost(level: Level) throws {
        #expect(try lost(try Stage(level), [], deploys: 12) > 0)
    }

    @Test func withoutItSomeAreLostOfUnixSockets() throws {
        #expect(try lost(try Stage(.ordinary, .unix), [], deploys: 12, copies: nil) > 0)
    }

    /// What a deploy says that comes while a request is under way, which is lost.
    private func saidOfLoss(_ stage: Stage, command: [ByteString]) throws -> String {
        try stage.deploy("1", command: command)
        let client = try stage.request()
        try waitUntil("the request is under way") {
            try establishedConnections(toLocalPort: stage.port).contains { $0.inode != 0 }
        }
        let said = try stage.deploy("2").errors
        #expect(try client.end().exit != 0)
        return said
    }

    @Test(arguments: Level.allCases) func lossIsReported(level: Level) throws {
        let stage = try Stage(level)
        let said = try saidOfLoss(stage, command: try careless(stage, "1", seconds: "30"))
        #expect(said.contains("(python3) at once, with 1 \(warning)"), "\(said)")
    }

    /// Node has a handler of its own, which ends it.
    @Test func lossByNodeIsReported() throws {
        let program = "require('http').createServer(() => {}).listen({ fd: 3 })"
        let stage = try Stage(.privileged)
        let said = try saidOfLoss(
            stage, command: [ByteString(try Tool.require("node")), "-e", ByteString(program)])
        #expect(said.contains("(node) at once, with 1 \(warning)"), "\(said)")
    }

    /// Servers that finish are not accused, also with kept connections.
    @Test(arguments: [1, 10]) func whoFinishesIsNotAccused(requests: Int) throws {
        let stage = try Stage(.privileged)
        try stage.deploy("1")
        let load = try Load(stage, requestsPerConnection: requests)
        var said = ""
        for number in 2...6 { said += try stage.deploy("\(number)").errors }
        #expect(try load.stop().lost == 0)
        #expect(!said.contains(warning), "\(said)")
    }

    /// Connections that stay are not waited for any longer than that, and the copy's own value counts, too.
    @Test func itEnds() throws {
        let stage = try Stage(.privileged)
        try stage.deploy("1", ["--drain", "500ms"])
        let client = try stage.request("/slow?ms=30000", timeout: "60s")
        try waitUntil("the request is under way") {
            try establishedConnections(toLocalPort: stage.port).contains { $0.inode != 0 }
        }
        let start = Date()
        try stage.deploy("2", ["--drain", "0s"])
        #expect(Date().timeIntervalSince(start) >= 0.5)
        try waitUntil("it is retired") { try stage.generation("1")?.state == "retired" }
        client.kill()
    }

    @Test func nextLabel() throws {
        let stage = try Stage(.ordinary)
        func next(_ labels: ByteString) throws -> String {
            try stage.verb("next", ["web", "--of", labels]).output.text
        }
        #expect(try next("blue,green") == "blue\n")
        _ = try stage.handOver("blue")
        #expect(try next("blue,green") == "green\n")
        #expect(try next("green,blue") == "green\n")
        #expect(try next("red,green") == "red\n")
        #expect(try stage.verb("next", ["web"]).exit == 100)
        #expect(try stage.verb("next", ["web", "--of", "blue,"]).exit == 100)
    }
}
