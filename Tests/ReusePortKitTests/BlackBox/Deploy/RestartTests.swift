import Foundation
import Testing

@testable import ReusePortKit

/// `restart` replaces the copies of a generation one after the other, and nobody loses a connection. The control is
/// `--at-once`, which loses some.
@Suite struct RestartTests {
    /// A server whose label can be changed while it runs, as a file that is copied over it would.
    private func server(_ stage: Stage, says label: String) throws -> [ByteString] {
        let words = quoted(try stage.sampleServer(label))
        return [ByteString(stage.box.write("server.sh", "#!/bin/sh\nexec \(words)\n", mode: 0o755))]
    }

    @Test(arguments: Level.allCases, [1, 3])
    func inTurn(level: Level, copies: Int) throws {
        let stage = try Stage(level)
        try stage.deploy("1", copies: copies, command: try server(stage, says: "old"))
        let old = try stage.pids()
        let load = try Load(stage)
        _ = try server(stage, says: "new")
        let outcome = try stage.change(["restart", "web"])
        #expect(!outcome.errors.contains("refused"), "\(outcome.errors)")
        let live = try stage.live()
        #expect(live.map(\.copy) == Array(0..<copies) && live.allSatisfy { $0.state == "live" })
        let new = live.map(\.pid)
        #expect(Set(new).isDisjoint(with: old))
        #expect(try stage.generation("1")?.state == "live")
        let sample = try Load(stage).stop()
        #expect(Set(sample.byPID.keys) == Set(new.map { "\($0)" }) && sample.labels == ["new"])
        let report = try load.stop()
        #expect(report.lost + sample.lost == 0, "\(report.summary)")
        #expect(report.labels == ["old", "new"])
        try stage.expectOnly(new)
        // The next deploy has as many.
        try stage.change(["migrate", "web"])
        #expect(try stage.pids().count == copies)
    }

    /// By its number, too, the only copy is replaced before it is stopped.
    @Test func onlyCopy() throws {
        let stage = try Stage(.privileged)
        try stage.deploy("1")
        let old = try stage.pids()
        let load = try Load(stage)
        for _ in 0..<3 { try stage.change(["restart", "web", "--copy", "0"]) }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(try stage.pids().count == 1 && Set(try stage.pids()).isDisjoint(with: old))
    }

    /// What has ended is started again, and what serves goes on.
    @Test func deadCopies() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1", copies: 2)
        let pids = try stage.pids()
        kill(pids[1], SIGKILL)
        try waitUntil("its end") { try stage.verb("count").output.text == "1\n" }
        try stage.change(["restart", "web", "--copy", "1"])
        #expect(try stage.pids().count == 2 && stage.pids()[0] == pids[0])
        for pid in try stage.pids() { kill(pid, SIGKILL) }
        try waitUntil("the end of all") { try stage.verb("count").output.text == "0\n" }
        try stage.change(["restart", "web"])
        #expect(try stage.verb("count").output.text == "2\n")
        #expect(try stage.verb("restart", ["web", "--copy", "2"]).exit == 1)
    }

    @Test func atOnceSomeAreLost() throws {
        let stage = try Stage(.privileged)
        try stage.deploy("1", copies: 3)
        var report = Report()
        for _ in 0..<8 {
            let old = try stage.pids()
            let load = try Load(stage)
            let outcome = try stage.change(["restart", "web", "--at-once"])
            #expect(outcome.errors.contains("clients are refused until it serves again"), "\(outcome.errors)")
            let new = try stage.pids()
            #expect(new.count == 3 && Set(new).isDisjoint(with: old))
            try stage.expectOnly(new)
            report = try load.stop()
            if report.lost > 0 { return }
        }
        Issue.record("nothing was lost at once either: \(report.summary)")
    }

    /// A program that does not run is found before anything is stopped.
    @Test(arguments: Level.allCases)
    func brokenCode(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", copies: 2, command: try server(stage, says: "old"))
        let old = try stage.pids()
        let load = try Load(stage)
        stage.box.write("server.sh", "#!/bin/sh\nexit 3\n", mode: 0o755)
        let outcome = try stage.change(["restart", "web"], expect: 1)
        #expect(outcome.errors.contains("exited with 3"), "\(outcome.errors)")
        #expect(try stage.pids() == old)
        let report = try load.stop()
        #expect(report.lost == 0 && report.labels == ["old"], "\(report.summary)")
        _ = try server(stage, says: "new")
        try stage.change(["restart", "web"])
        let new = try stage.pids()
        #expect(new.count == 2 && Set(new).isDisjoint(with: old))
        try stage.expectOnly(new)
    }

    /// The copy that was to serve meanwhile is not there for good.
    @Test(arguments: Level.allCases, [1, 2])
    func killed(level: Level, copies: Int) throws {
        let stage = try Stage(level)
        try stage.deploy("1", copies: copies == 1 ? nil : copies)
        let restart = try stage.launch(["restart", "web", "--run-dir", stage.runDirectory])
        try waitUntil("one more copy") { try stage.generation("1")?.copies.contains { $0.copy == copies } == true }
        restart.kill()
        let load = try Load(stage)
        try stage.change(["restart", "web"])
        let live = try stage.live()
        #expect(live.map(\.copy) == Array(0..<copies) && live.allSatisfy { $0.state == "live" })
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        try stage.expectOnly(live.map(\.pid))
    }

    /// A killed restart has left its additional copy, which is about to stop. The next one starts another.
    @Test(arguments: Level.allCases)
    func killedWhileItEnds(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", ["--stop-timeout", "3s"], variables: ["SAMPLE_IGNORE_TERM=1"])
        let restart = try stage.launch(["restart", "web", "--run-dir", stage.runDirectory])
        try waitUntil("copy 1 is about to stop") {
            try stage.generation("1")?.copies.contains { $0.copy == 1 && $0.state == "stopping" } == true
        }
        restart.kill()
        let load = try Load(stage)
        try stage.change(["restart", "web"])
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        let live = try stage.live()
        #expect(live.map(\.copy) == [0])
        try stage.expectOnly(live.map(\.pid))
    }

    /// Two copies cannot have one path, so the only one is stopped first, and that is said.
    @Test func onePath() throws {
        let stage = try Stage(.ordinary, .unix)
        try stage.deploy("1")
        let old = try stage.pids()
        let outcome = try stage.change(["restart", "web"])
        #expect(outcome.errors.contains("clients are refused until it serves again"), "\(outcome.errors)")
        let new = try stage.pids()
        #expect(new.count == 1 && new != old)
        try stage.expectOnly(new)
    }

    /// Copies of one generation have the same sockets.
    @Test func otherSockets() throws {
        let stage = try Stage(.ordinary)
        func describe(_ more: String) throws -> ByteString {
            let command = try stage.sampleServer("1").map(\.text).joined(separator: " ")
            return ByteString(
                stage.box.write(
                    "web.conf",
                    """
                    socket: \(stage.socket.text)
                    run-dir: \(stage.runDirectory.text)
                    log: /dev/null
                    copies: 2
                    \(more)
                    command: \(command)

                    """))
        }
        #expect(try stage.launch(["deploy", "--config", try describe("")]).end().exit == 0)
        let pids = try stage.pids()
        _ = try describe("socket: admin:unix:\(stage.home)/admin-{copy}.sock")
        let outcome = try stage.change(["restart", "web"], expect: 1)
        #expect(outcome.errors.contains("it has other sockets now"), "\(outcome.errors)")
        try stage.expectOnly(pids)
    }

    @Test(arguments: [["--at-once", "--copy", "0"], ["--in-place"]] as [[ByteString]])
    func usage(options: [ByteString]) throws {
        let stage = try Stage(.ordinary)
        #expect(try stage.verb("restart", ["web"] + options).exit == 100)
    }
}
