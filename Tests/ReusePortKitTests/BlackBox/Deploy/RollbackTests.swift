import Foundation
import Testing

@testable import ReusePortKit

/// `rollback` deploys again what served before. The control of the load is in DeployLossTests.
@Suite struct RollbackTests {
    @Test(arguments: Level.allCases)
    func theOneBefore(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("old", copies: 2, ["--umask", "027"], variables: ["COLOR=blue"])
        try stage.deploy("new", copies: 2, variables: ["COLOR=red"])
        try stage.change(["scale", "web", "3"])
        let load = try Load(stage)
        let outcome = try stage.change(["rollback", "web"])
        #expect(outcome.errors.contains("of generation old, with what is in"), "\(outcome.errors)")
        let live = try stage.live()
        #expect(live.count == 3 && live.allSatisfy { $0.state == "live" })
        #expect(try Load(stage).stop().labels == ["old"])
        for copy in live {
            let bytes = FileManager.default.contents(atPath: "/proc/\(copy.pid)/environ") ?? Data()
            #expect(bytes.split(separator: 0).contains { String(decoding: $0, as: UTF8.self) == "COLOR=blue" })
            let status = try String(contentsOfFile: "/proc/\(copy.pid)/status", encoding: .utf8)
            #expect(status.contains("Umask:\t0027"))
        }
        // The way back leads forward again.
        try stage.change(["rollback", "web"])
        #expect(try Load(stage).stop().labels == ["new"])
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(try stage.verb("history", ["web"]).output.text.contains("rollback web"))
    }

    /// The configuration file and the link to the release lead elsewhere by now.
    @Test func filesHaveChanged() throws {
        let stage = try Stage(.ordinary)
        let current = "\(stage.home)/current"
        let path = "\(stage.home)/web.conf"
        for label in ["1", "2"] {
            let release = "\(stage.home)/release-\(label)"
            try FileManager.default.createDirectory(atPath: release, withIntermediateDirectories: true)
            chmod(release, 0o755)
            stage.box.write(
                "\(release)/app", Array("#!/bin/sh\nexec \(quoted(try stage.sampleServer(label)))\n".utf8), mode: 0o755)
            unlink(current)
            symlink(release, current)
            let file = """
                app: web
                socket: \(stage.socket.text)
                run-dir: \(stage.runDirectory.text)
                log: /dev/null
                env: RELEASE=\(label)
                command: \(release)/app

                """
            stage.box.write(path, Array(file.utf8), mode: 0o644)
            try stage.launch(
                ["deploy", "--config", ByteString(path)], variables: ["PWD=\(ByteString(current))"],
                [.changeDirectory(current)]
            ).endWell()
        }
        #expect(try stage.ask().contains("label: 2"))
        let file = FileManager.default.contents(atPath: path)
        try stage.change(["rollback", "web"])
        #expect(try stage.ask().contains("label: 1"))
        let pid = try #require(try stage.pids().first)
        let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/environ") ?? Data()
        #expect(bytes.split(separator: 0).contains { String(decoding: $0, as: UTF8.self) == "RELEASE=1" })
        #expect(FileManager.default.contents(atPath: path) == file)
        // A release that was removed cannot come back, and nothing changes.
        try FileManager.default.removeItem(atPath: "\(stage.home)/release-2")
        let gone = try stage.change(["rollback", "web"], expect: 111)
        #expect(gone.errors.contains("that release has gone"), "\(gone.errors)")
        #expect(try stage.ask().contains("label: 1"))
    }

    @Test func chosen() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1")
        let alone = try stage.change(["rollback", "web"], expect: 1)
        #expect(alone.errors.contains("no other generation of it has served"), "\(alone.errors)")
        for label in ["2", "3"] { try stage.deploy(label) }
        // Failures do not push the last good one out.
        for _ in 0..<6 { try stage.deploy(nil, ["--ready-timeout", "1s"], command: ["/bin/false"], expect: 1) }
        let wrong = try stage.change(["rollback", "web", "--generation", "7"], expect: 1)
        #expect(wrong.errors.contains("no generation 7 is known that has served before; there is 2"), "\(wrong.errors)")
        try stage.change(["rollback", "web"])
        #expect(try stage.ask().contains("label: 2"))
        try stage.change(["rollback", "web", "--generation", "3"])
        #expect(try stage.ask().contains("label: 3"))
    }

    /// One that was told to stop does not come back, however long it goes on listening: it is deployed again.
    @Test(arguments: Level.allCases) func toOneThatStops(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", copies: 2, ["--stop-timeout", "4s"], variables: ["SAMPLE_IGNORE_TERM=1"])
        let old = try stage.pids()
        let deploy = try stage.startDeploy("2", copies: 2)
        try deploy.waitFor("generation 1 is told to stop")
        try stage.change(["rollback", "web"])
        _ = try deploy.end()
        #expect(try stage.ask().contains("label: 1"))
        let new = try stage.pids()
        #expect(new.count == 2 && !new.contains { old.contains($0) })
        try stage.expectOnly(new)
    }

    /// One that has crashed is left out, unless it is named.
    @Test func afterACrash() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1")
        try stage.deploy("2", variables: ["SAMPLE_CRASH=after-ready-300"])
        try waitUntil("it has crashed") { try stage.live().isEmpty }
        try stage.change(["rollback", "web"])
        #expect(try stage.ask().contains("label: 1"))
        let state = try stage.verb("state", ["web"]).output.text
        #expect(state.contains(#/generation 2 .*\n +copy 0 .* ended +it ended by itself, or was killed\n/#), "\(state)")
        let again = try stage.change(["rollback", "web"], expect: 1)
        #expect(again.errors.contains("was started by the same command in "), "\(again.errors)")
        #expect(again.errors.contains("put that back there, then reuseport-exec migrate web"), "\(again.errors)")
        let same = try stage.change(["rollback", "web", "--generation", "1"], expect: 1)
        #expect(same.errors.contains("was started by the same command in "), "\(same.errors)")
        let named = try stage.change(["rollback", "web", "--generation", "2", "--copies", "2"])
        #expect(named.errors.contains("and 2 copies"), "\(named.errors)")
    }

    /// Nothing is left but what has crashed.
    @Test func onlyCrashes() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1", variables: ["SAMPLE_CRASH=after-ready-300"])
        try waitUntil("it has crashed") { try stage.live().isEmpty }
        try stage.deploy("2")
        let outcome = try stage.change(["rollback", "web"], expect: 1)
        #expect(
            outcome.errors.contains("have crashed in generation 1; --generation 1 starts it all the same"),
            "\(outcome.errors)")
        #expect(try stage.ask().contains("label: 2"))
    }

    /// The link of `--chdir` leads elsewhere by now, and copies that are added start where the others did.
    @Test(arguments: Level.allCases) func releaseOfChdir(level: Level) throws {
        let stage = try Stage(level)
        let current = "\(stage.home)/current"
        let server = try stage.sampleServer("LABEL").map(\.text)
        for label in ["1", "2"] {
            let release = "\(stage.home)/release-\(label)"
            try FileManager.default.createDirectory(atPath: release, withIntermediateDirectories: true)
            chmod(release, 0o755)
            let words = server.map { $0 == "LABEL" ? label : $0 }.joined(separator: " ")
            stage.box.write("\(release)/app", Array("#!/bin/sh\nexec \(words)\n".utf8), mode: 0o755)
        }
        symlink("release-1", current)
        try stage.deploy("1", ["--chdir", ByteString(current)], command: ["./app"])
        unlink(current)
        symlink("release-2", current)
        try stage.change(["scale", "web", "2"])
        #expect(try Load(stage, connections: 8).stop().labels == ["1"])
        try stage.change(["migrate", "web", "--generation", "2"])
        #expect(try Load(stage, connections: 8).stop().labels == ["2"])
        let outcome = try stage.change(["rollback", "web"])
        #expect(outcome.errors.contains("with what is in \(stage.home)/release-1 now"), "\(outcome.errors)")
        #expect(outcome.errors.contains("follow \(current): let it lead to "), "\(outcome.errors)")
        #expect(try Load(stage, connections: 8).stop().labels == ["1"])
        #expect(try stage.verb("state", ["web"]).output.text.contains("\(stage.home)/release-1 (migrate: "))
        try stage.change(["migrate", "web"])
        #expect(try Load(stage, connections: 8).stop().labels == ["2"])
    }
}
