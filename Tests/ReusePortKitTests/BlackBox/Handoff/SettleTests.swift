import Foundation
import Testing

@testable import ReusePortKit

/// Servers that drop what they have accepted, and not read, when they are told to stop: they get the time that they
/// need to read it, or are given it by `--settle`.
@Suite struct SettleTests {
    /// How many are lost by some handoffs of a server that reads after a second, or after as many as are said.
    private func lost(_ level: Level, _ options: [ByteString], after seconds: ByteString = "1") throws -> Int {
        let stage = try Stage(level)
        func handOver(_ label: String) throws -> Running {
            let command = try stage.python("hasty.py", ["{fd:http}", "\(label)", seconds])
            return try stage.handOver(label, options, command: command)[0]
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

    /// As long as a request takes that comes a moment after its connection.
    @Test(arguments: Level.allCases) func readSoon(level: Level) throws {
        #expect(try lost(level, [], after: "0.01") == 0)
    }

    /// By default they have half a second.
    @Test(arguments: Level.allCases) func theyHaveNone(level: Level) throws {
        #expect(try lost(level, [], after: "3") > 0)
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
