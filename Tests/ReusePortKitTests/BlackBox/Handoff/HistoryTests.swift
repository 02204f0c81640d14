import Foundation
import Testing

@testable import ReusePortKit

/// `history`: who has changed an app, by what command, and with what result.
@Suite struct HistoryTests {
    private struct Line: Decodable {
        let time: Int
        let who: String
        let command: [String]
        let exit: Int?
        let reason: String
        let milliseconds: Int?
        let running: Bool
    }

    private func history(_ stage: Stage) throws -> [Line] {
        let outcome = try stage.verb("history", ["web", "--json"])
        #expect(outcome.exit == 0, "\(outcome.errors)")
        return try JSONDecoder().decode([Line].self, from: Data(outcome.output.bytes))
    }

    @Test(arguments: Level.allCases)
    func whatHasChangedIt(level: Level) throws {
        let stage = try Stage(level)
        let start = Int(time(nil))
        try stage.deploy("blue", ["--env", "TOKEN=secret", "--env=OTHER=secret"], variables: ["SUDO_USER=alice"])
        try stage.deploy("bad", ["--env", "odd.name=secret"], command: ["/bin/sh", "-c", "exit 7"], expect: 1)
        for words in [["scale", "web", "2"], ["restart", "web"], ["suspend", "web"], ["resume", "web"]]
            as [[ByteString]]
        {
            try stage.change(words)
        }
        _ = try stage.verb("count", ["web"])
        _ = try stage.verb("retire", ["web"])
        #expect(try stage.verb("terminate", ["web"]).exit == 1)
        let lines = try history(stage)
        #expect(
            lines.map { $0.command[0] } == [
                "deploy", "deploy", "scale", "restart", "suspend", "resume", "retire", "terminate",
            ])
        #expect(lines.map(\.exit) == [0, 1, 0, 0, 0, 0, 0, 1])
        let own = level == .privileged ? "root" : "nobody"
        #expect(lines.map(\.who) == ["alice"] + Array(repeating: own, count: 7))
        #expect(lines.allSatisfy { $0.time >= start && $0.time <= Int(time(nil)) && !$0.running })
        #expect(lines[1].reason.contains("copy 0: exited with 7"), "\(lines[1].reason)")
        #expect(lines[2].command == ["scale", "web", "2", "--run-dir", stage.runDirectory.text])
        #expect(lines[0].command.contains("TOKEN=...") && lines[0].command.contains("--env=OTHER=..."))
        let text = try stage.verb("history", ["web"]).output.text
        #expect(text.contains("alice") && text.contains("copy 0: exited with 7") && text.contains(" scale web 2"))
        let file = try #require(FileManager.default.contents(atPath: "\(stage.home)/run/web/history"))
        #expect(!String(decoding: file, as: UTF8.self).contains("secret"))
        #expect(stage.box.status("\(stage.home)/run/web/history").map { $0.st_mode & 0o777 } == 0o600)
    }

    /// One that was killed has no result; while it runs, that is said.
    @Test func killed() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("blue")
        let deploy = try stage.startDeploy("green", variables: ["SAMPLE_BOOT_MS=600000"])
        try deploy.waitFor("copy 0 is starting")
        #expect(try history(stage).map(\.running) == [false, true])
        deploy.signal(SIGKILL)
        _ = try deploy.end()
        let last = try #require(try history(stage).last)
        #expect(!last.running && last.exit == nil && last.milliseconds == nil && last.command[0] == "deploy")
        #expect(try stage.verb("history", ["web"]).output.text.contains("killed"))
    }

    /// One that is interrupted says so.
    @Test func interrupted() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("blue")
        let deploy = try stage.startDeploy("green", variables: ["SAMPLE_BOOT_MS=600000"])
        try deploy.waitFor("copy 0 is starting")
        deploy.signal(SIGTERM)
        #expect(try deploy.end().exit == 1)
        let last = try #require(try history(stage).last)
        #expect(last.exit == 1 && last.reason.contains("interrupted"), "\(last.reason)")
    }

    /// A launcher's handoff is there, and a copy that comes back to the live generation is not.
    @Test func launchers() throws {
        let stage = try Stage(.ordinary)
        _ = try stage.handOver("blue")
        let green = try stage.handOver("green")
        try waitUntil("it is written down") { try history(stage).count == 2 && history(stage)[1].exit == 0 }
        green[0].kill()
        _ = try stage.handOver("green")
        _ = try stage.verb("retire", ["web"])
        let lines = try history(stage)
        #expect(lines.count == 3, "\(lines.map(\.command))")
        #expect(lines.prefix(2).allSatisfy { $0.command.contains("--app") }, "\(lines.map(\.command))")
    }

    @Test func itIsBounded() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("blue")
        let path = "\(stage.home)/run/web/history"
        for (count, word) in [(500, "short"), (150, String(repeating: "long", count: 200))] {
            let lines = (1...count).map { "command=\($0) me 1 \($0) 0 - 5 \(word)\n" }.joined()
            stage.box.write(path, Array("\(lines)end=\n".utf8), mode: 0o600)
            if let deployer = stage.deployer { chown(path, deployer, deployer) }
            #expect(try stage.verb("suspend", ["web", "--config", "/no"]).exit == 111)
            #expect(try stage.verb("resume", ["web"]).exit == 1)
            let after = try history(stage)
            #expect(after.last?.command.first == "resume" && after.count <= 200 && after.count > 20, "\(after.count)")
            #expect(try #require(stage.box.status(path)).st_size <= 1 << 16)
        }
    }

    /// A history that others could have written is not read, and stops nobody.
    @Test(arguments: ["link", "FIFO", "damaged"])
    func hostile(kind: String) throws {
        let stage = try Stage(.privileged)
        try stage.deploy("blue")
        let path = "\(stage.home)/run/web/history"
        let secret = stage.box.write("secret", "command=1 me 1 1 0 - 5 x\nend=\n", mode: 0o600)
        unlink(path)
        switch kind {
        case "link": #expect(symlink(secret, path) == 0)
        case "FIFO": #expect(mkfifo(path, 0o600) == 0)
        default: stage.box.write(path, Array("nothing".utf8), mode: 0o600)
        }
        #expect(try stage.verb("resume", ["web"]).exit == 1)
        if kind == "damaged" {
            #expect(try history(stage).map { $0.command[0] } == ["resume"])
        } else {
            #expect(try stage.verb("history", ["web"]).exit == 111)
        }
        #expect(try String(contentsOfFile: secret, encoding: .utf8).contains("me"))
    }

    @Test func ofOthers() throws {
        let stage = try Stage(.privileged)
        try stage.deploy("blue")
        let outcome = try stage.box.run(
            ["history", "web", "--run-dir", stage.runDirectory], [.user(65534, 65534)])
        #expect(outcome.exit == 1 && outcome.errors.contains("it is root's; use sudo"), "\(outcome.errors)")
        #expect(try stage.verb("history", ["other"]).exit == 1)
    }
}
