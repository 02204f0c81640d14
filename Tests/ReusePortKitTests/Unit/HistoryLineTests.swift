import Foundation
import Testing

@testable import ReusePortKit

/// The options of `logs`, and the lines of a history as its file has them.
@Suite struct HistoryLineTests {
    private func request(_ words: [ByteString]) throws -> VerbRequest {
        guard case .verb(let request) = try parseArguments(words) else {
            throw Unavailable(description: "no verb: \(words)")
        }
        return request
    }

    @Test(
        arguments: [
            ["logs", "web", "-f", "-n", "5", "--copy", "3", "--generation", "blue"],
            ["logs", "-n", "5", "--generation=blue", "-f", "web", "--copy=3"],
            ["logs", "--lines", "5", "web", "--follow", "--generation", "blue", "--copy", "3"],
        ] as [[ByteString]]) func optionsOfLogs(words: [ByteString]) throws
    {
        let request = try request(words)
        #expect(request.verb == .logs && request.app == "web")
        #expect(request.follows && request.lines == 5 && request.copy == 3 && request.generation == "blue")
    }

    @Test func nothingIsFollowedUnasked() throws {
        let request = try request(["logs", "web"])
        #expect(!request.follows && request.lines == nil && request.copy == nil && request.generation == nil)
    }

    @Test(
        arguments: [
            ["logs"], ["logs", "web", "-n"], ["logs", "web", "-n", "x"], ["logs", "web", "blue"],
            ["logs", "web", "--json"],
            ["history"], ["history", "web", "-f"], ["forget"], ["forget", "web", "--json"],
        ] as [[ByteString]]) func wrongWords(words: [ByteString])
    {
        #expect(throws: Failure.self) { try request(words) }
    }

    /// A letter is no option behind `--`, nor where the verb has none of that name.
    @Test func lettersOfOthers() throws {
        #expect(
            try request(["finish", "web", "--generation", "blue", "--", "-f"].dropLast() + ["1", "0"]).app == "web")
        #expect(throws: Failure.self) { try request(["count", "-f"]) }
    }

    private func registry(_ box: Sandbox) throws -> Registry {
        try #require(try Registry.open("web", in: ByteString(box.makeDirectory("run")), create: true))
    }

    @Test func lineIsReplacedByItsResult() throws {
        let box = Sandbox()
        let registry = try registry(box)
        #expect(try registry.loadHistory().isEmpty)
        let line = HistoryLine()
        line.end(nil)
        #expect(try registry.loadHistory().isEmpty)
        line.begin("web", in: ByteString(box["run"]))
        let begun = try registry.loadHistory()
        #expect(begun.count == 1 && begun[0].pid == UInt64(getpid()) && begun[0].code == nil)
        line.end(Failure(.negative, "deploy", "web", "copy 0: exited with 7\n%"))
        let ended = try registry.loadHistory()
        #expect(ended.count == 1 && ended[0].code == 1 && ended[0].reason == "copy 0: exited with 7\n%")
        #expect(ended[0].time == begun[0].time && ended[0].words == begun[0].words && !ended[0].words.isEmpty)
    }

    @Test(arguments: ["command=1 2\nend=\n", "damaged", ""]) func damage(text: String) throws {
        let box = Sandbox()
        let registry = try registry(box)
        box.write("run/web/history", text)
        #expect(try registry.loadHistory().isEmpty)
        HistoryLine().begin("web", in: ByteString(box["run"]))
        #expect(try registry.loadHistory().count == 1)
    }
}
