import Foundation
import Testing

@testable import ReusePortKit

/// Servers that drop what they have accepted, and not read, when they are told to stop: no queue shows it, so they are
/// given time.
@Suite struct SettleTests {
    /// How many are lost by some handoffs of a server that reads after a second.
    private func lost(_ level: Level, _ options: [ByteString]) throws -> Int {
        let stage = try Stage(level)
        func handOver(_ label: String) throws -> Running {
            try stage.handOver(label, options, command: try stage.python("hasty.py", ["{fd:http}", "\(label)"]))[0]
        }
        var live = try handOver("1")
        let load = try Load(stage, connections: 16, path: "/")
        for number in 2...4 {
            let next = try handOver("\(number)")
            _ = try live.end()
            live = next
        }
        return try load.stop().lost
    }

    @Test(arguments: Level.allCases) func theyHaveTime(level: Level) throws {
        #expect(try lost(level, ["--settle", "3s"]) == 0)
    }

    /// By default they have none at level 1, and less than they need at level 2.
    @Test(arguments: Level.allCases) func theyHaveNone(level: Level) throws {
        #expect(try lost(level, []) > 0)
    }

    /// It is the old generation that needs it, whoever replaces it.
    @Test(arguments: Level.allCases) func itIsRemembered(level: Level) throws {
        let stage = try Stage(level)
        func command(_ label: ByteString) throws -> [ByteString] { try stage.python("hasty.py", ["{fd:http}", label]) }
        _ = try stage.handOver("1", copies: 2, ["--settle", "3s"], command: try command("1"))
        let load = try Load(stage, connections: 16, path: "/")
        let scaled = try stage.verb("scale", ["web", "1"])
        #expect(scaled.exit == 0, "\(scaled.errors)")
        _ = try stage.handOver("2", command: try stage.sampleServer("2"))
        #expect(try load.stop().lost == 0)
    }
}
