import Foundation
import Testing

@testable import ReusePortKit

/// A deploy tells scripts each step as JSON, and a command its outcome.
@Suite struct DeployReportTests {
    private struct Line: Decodable {
        let event: String
        let ms: Int
        let copy: Int?
        let pid: pid_t?
        let from: String?
        let generation: String?
        let reason: String?
        let result: String?
        let ready_ms: Int?
        let cutover_ms: Int?
        let duration_ms: Int?
        let unanswered: Int?
        let connections: Int?
    }

    private func lines(_ outcome: Outcome) throws -> [Line] {
        try outcome.output.text.split(separator: "\n").map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
    }

    // MARK: - --json

    @Test func steps() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1")
        let old = try stage.pids()
        // Without retired generations the command waits until the old copy has ended.
        let lines = try lines(try stage.deploy("2", copies: 2, ["--json", "--keep-retired", "0"]))
        let pids = try stage.pids()
        #expect(
            lines.map(\.event) == [
                "registered", "started", "started", "ready", "ready", "cut_over", "serves", "serves", "told_to_stop",
                "ended", "result",
            ])
        for event in ["started", "ready", "serves"] {
            #expect(lines.filter { $0.event == event }.map(\.pid) == pids, "\(event)")
        }
        #expect(lines.first { $0.event == "cut_over" }?.from == "1")
        #expect(lines.first { $0.event == "ended" }?.generation == "1")
        let result = try #require(lines.last)
        #expect(result.result == "ok" && result.generation == "2" && result.unanswered == 0)
        #expect(result.reason == "generation 2 serves with 2 copies")
        let times = [result.ready_ms, result.cutover_ms, result.duration_ms].compactMap { $0 }
        #expect(times.count == 3 && times == times.sorted())
        #expect(lines.map(\.ms) == lines.map(\.ms).sorted())
        #expect(Set(pids).isDisjoint(with: old))
    }

    @Test func failure() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1")
        let outcome = try stage.deploy("2", ["--json"], command: ["/bin/sh", "-c", "exit 3"], expect: 1)
        let lines = try lines(outcome)
        #expect(lines.first { $0.event == "failed" }?.reason?.contains("exited with 3") == true)
        let result = try #require(lines.last)
        #expect(result.event == "result" && result.result == "failed" && result.cutover_ms == nil)
        // The same stands on standard error.
        #expect(outcome.errors.contains("fatal: \(result.reason ?? "-")\n"), "\(outcome.errors)")
        // Failures before anything is started, too.
        let early = try stage.change(["deploy", "other", "--json"], expect: 100)
        #expect(try self.lines(early).map(\.result) == ["failed"])
    }

    /// `rollback` as well, whether it starts copies or those of `--watch` still listen.
    @Test func wayBack() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1")
        try stage.deploy("2", ["--keep-retired", "0"])
        let again = try lines(try stage.change(["rollback", "web", "--json"]))
        #expect(again.map(\.event).contains("cut_over") && again.last?.result == "ok", "\(again)")
        let deploy = try stage.startDeploy("4", ["--watch", "1h"])
        try deploy.waitFor("is watched for")
        let back = try lines(try stage.change(["rollback", "web", "--json"]))
        #expect(back.first?.event == "came_back" && back.last?.result == "ok", "\(back)")
        #expect(try deploy.end().exit == 1)
    }

    private struct Listed: Decodable {
        let app, note, user: String
        let addresses: [String]
        let crashes: Int
    }

    @Test func listed() throws {
        let stage = try Stage(.privileged)
        try stage.deploy("1", copies: 2)
        kill(try #require(try stage.pids().first), SIGKILL)
        try waitUntil("it has gone") { try stage.pids().count == 1 }
        let output = try stage.verb("list", ["--json"]).output
        let apps = try JSONDecoder().decode([Listed].self, from: Data(output.bytes))
        let app = try #require(apps.first)
        #expect(app.app == "web" && app.crashes == 1 && app.user == "nobody", "\(app)")
        #expect(app.addresses == ["127.0.0.1:\(stage.port)"] && app.note.contains("scale web 2"), "\(app)")
    }

    /// Requests that were lost, as far as it is known.
    @Test func unanswered() throws {
        let stage = try Stage(.ordinary)
        let server = """
            import os, signal, socket
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            listener = socket.socket(fileno=3)
            kept = []
            while True:
                kept.append(listener.accept()[0])
                kept[-1].recv(1000)
            """
        try stage.deploy(
            "1", ["--ready", "none"],
            command: [ByteString(try Tool.require("python3")), "-S", "-E", "-c", ByteString(server)])
        let client = try stage.request()
        try waitUntil("it is taken") {
            try establishedConnections(toLocalPort: stage.port).contains { $0.inode != 0 }
        }
        let lines = try lines(try stage.deploy("2", ["--json"]))
        #expect(lines.last?.unanswered == 1, "\(lines)")
        _ = try client.end()
    }

    // MARK: - --on-deploy

    /// A hook that writes a line for each deploy.
    private func hook(_ stage: Stage) -> (words: [ByteString], written: () -> [String]) {
        let path = "\(stage.home)/deploys"
        let names = ["APP", "GENERATION", "RESULT", "COPIES", "REASON"].map { "$REUSEPORT_EXEC_\($0)" }
        return (
            ["--on-deploy", ByteString("echo \"\(names.joined(separator: "|"))|$WHO\" >>'\(path)'")],
            {
                let text = FileManager.default.contents(atPath: path) ?? Data()
                return String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
            }
        )
    }

    @Test func outcomes() throws {
        let stage = try Stage(.ordinary)
        let (words, written) = hook(stage)
        try stage.deploy("1", copies: 2, words, variables: ["WHO=first"])
        try stage.deploy("0", ["--dry-run"] + words)
        // It is repeated with the deploy, in the environment of whoever deploys.
        try stage.change(["migrate", "web", "--generation", "2"], variables: ["WHO=second"])
        let failed = try stage.deploy("3", copies: 1, words, command: ["/bin/sh", "-c", "exit 3"], expect: 1)
        let reason = failed.errors.split(separator: "\n").last?.dropFirst("reuseport-exec: fatal: ".count) ?? ""
        #expect(
            written() == [
                "web|1|ok|2|generation 1 serves with 2 copies|first",
                "web|2|ok|2|generation 2 serves with 2 copies|second", "web|3|failed|1|\(reason)|",
            ])
        // Copies that are added or started again are no deploy.
        try stage.change(["scale", "web", "3"])
        try stage.change(["restart", "web"])
        #expect(written().count == 3)
    }

    @Test func ofAFile() throws {
        let stage = try Stage(.ordinary)
        let (words, written) = hook(stage)
        let command = try stage.sampleServer("1").map(\.text).joined(separator: " ")
        let path = stage.box.write(
            "web.conf",
            """
            socket: \(stage.socket.text)
            run-dir: \(stage.runDirectory.text)
            log: /dev/null
            on-deploy: \(words[1].text)
            command: \(command)

            """)
        #expect(try stage.launch(["deploy", "--config", ByteString(path)]).end().exit == 0)
        #expect(written() == ["web|1|ok|1|generation 1 serves with 1 copy|"])
    }

    /// A hook that fails does not take the cutover back.
    @Test func failingHook() throws {
        let stage = try Stage(.ordinary)
        let outcome = try stage.deploy("1", ["--on-deploy", "exit 7"])
        #expect(outcome.errors.contains("warning: web: --on-deploy exited with 7\n"), "\(outcome.errors)")
        #expect(try stage.ask().contains("label: 1"))
        #expect(try stage.deploy("2", ["--on-deploy", " "], expect: 100).errors.contains("the command is missing"))
    }
}
