import Foundation
import Testing

@testable import ReusePortKit

/// Datagrams that wait at the old generation's socket when the new one takes over: nothing moves them, so they are
/// waited for.
@Suite struct DatagramTests {
    /// They fit into the socket's buffer, and take the server most of a second.
    private static let count = 150

    private func stage(_ level: Level) throws -> Stage {
        let stage = try Stage(level, settings: [])
        stage.otherSocket = "dns:udp:127.0.0.1:\(ByteString(decimal: stage.port))"
        return stage
    }

    private func command(_ stage: Stage, _ label: String) throws -> [ByteString] {
        try stage.python("slow_udp.py", ["{fd:dns}", ByteString(label)])
    }

    /// How many are answered if the server is replaced when they have been sent.
    private func answered(_ stage: Stage, replace: () throws -> Void) throws -> String? {
        let words = try stage.python(
            "datagrams.py", ["127.0.0.1", ByteString(decimal: stage.port), ByteString(decimal: DatagramTests.count)])
        let client = try stage.box.start(program: words[0].text, Array(words.dropFirst()), stage.inNetwork)
        try client.waitFor("sent")
        try replace()
        let outcome = try client.end()
        #expect(outcome.errors == "")
        return outcome.output.text.split(separator: "\n").last.map(String.init)
    }

    @Test(arguments: Level.allCases) func allAreAnswered(level: Level) throws {
        let stage = try stage(level)
        let old = try stage.handOver("1", command: try command(stage, "1"))
        try old[0].waitFor("ready")
        let answered = try answered(stage) {
            _ = try stage.handOver("2", command: try command(stage, "2"))
            _ = try old[0].end()
        }
        #expect(answered == "answered \(DatagramTests.count)")
    }

    @Test func withoutHelpSomeAreLost() throws {
        let stage = try stage(.ordinary)
        let old = try stage.startPlain("1", command: try command(stage, "1"))
        let answered = try answered(stage) { _ = try stage.replacePlain(old, times: 1) { try command(stage, $0) } }
        #expect(answered != "answered \(DatagramTests.count)")
    }
}
