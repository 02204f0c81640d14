import Foundation
import Testing

@testable import ReusePortKit

/// One change of an app meets another, or what another has left.
@Suite struct InterplayTests {
    /// A copy that is added when its generation is replaced fails alone: what that generation is at is finished.
    @Test(arguments: Level.allCases) func scaledWhileItIsReplaced(level: Level) throws {
        let stage = try Stage(level)
        let slow = "\(stage.home)/slow"
        try stage.deploy("1", ["--ready", ByteString("exec:test ! -e \(slow)")])
        let load = try Load(stage)
        stage.box.write(slow, [], mode: 0o644)
        let scale = try stage.launch(["scale", "web", "2", "--run-dir", stage.runDirectory])
        try waitUntil("the copy that is added") { try stage.generation("1")?.running.count == 2 }
        try stage.deploy("2")
        let scaled = try scale.end()
        #expect(scaled.exit == 1, "\(scaled.errors)")
        try waitUntil("its end") { ["ended", "failed"].contains(try stage.generation("1")?.state ?? "") }
        let replaced = try stage.generation("1")
        #expect(replaced?.state == "ended", "\(String(describing: replaced)) \(scaled.errors)")
        #expect(try load.stop().lost == 0)
        try stage.expectOnly(try stage.pids())
    }

    /// The listeners by which the group is directed are those of the new copy 0. It may crash.
    @Test(arguments: Level.allCases) func crashWhileTheOldOnesStop(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", copies: 3)
        let deploy = try stage.startDeploy("2", copies: 3, ["--settle", "1s"])
        try waitUntil("it has taken over") { try stage.generation("2")?.state == "live" }
        let pid = try stage.pid()
        kill(pid, SIGKILL)
        #expect(try deploy.end().exit == 0, "\(deploy.errors)")
        #expect(try stage.generation("1")?.state == "ended")
        #expect(try Load(stage, connections: 8).stop().labels == ["2"])
        try stage.change(["scale", "web", "3"])
        #expect(try stage.pids().count == 3)
    }

    /// A copy that a restart was to stop, and that nobody sends connections any more.
    @Test(arguments: Level.allCases) func restartIsKilled(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", copies: 2, ["--settle", "5s"])
        let restart = try stage.launch(["restart", "web", "--copy", "0", "--run-dir", stage.runDirectory])
        try waitUntil("it is to stop") { try stage.generation("1")?.copies.first { $0.copy == 0 }?.state == "stopping" }
        restart.kill()
        try stage.change(["scale", "web", "2"])
        #expect(try stage.live().map(\.state) == ["live", "live"])
        try stage.expectOnly(try stage.pids())
    }

    /// What somebody was writing when he was killed.
    @Test func halfWritten() throws {
        let stage = try Stage(.privileged)
        try stage.deploy("1")
        let path = "\(stage.runDirectory.text)/web/.20-2.new"
        stage.box.write(path, [], mode: 0o644)
        try stage.deploy("2")
        #expect(access(path, F_OK) != 0)
    }

    /// Copies that nobody waits for any more are neither served nor in the way.
    @Test(arguments: Level.allCases) func scaleIsKilled(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", copies: 2, ["--env", "SAMPLE_BOOT_MS=1000"])
        let scale = try stage.launch(["scale", "web", "4", "--run-dir", stage.runDirectory])
        try waitUntil("those that are added") { try stage.generation("1")?.running.count == 4 }
        scale.kill()
        try stage.change(["scale", "web", "4"])
        #expect(try stage.live().map(\.state) == ["live", "live", "live", "live"])
        try stage.expectOnly(try stage.pids())
    }

    /// Of two apps that want the same address at the same time, one gets it, and neither takes the other's copies for
    /// its own.
    @Test(arguments: Level.allCases) func twoAppsAtOnce(level: Level) throws {
        let stage = try Stage(level)
        for _ in 0..<5 {
            let words = try stage.deployWords("1", copies: 2, [], nil)
            let names: [ByteString] = ["web", "other"]
            let deploys = try names.map { try stage.launch([words[0], $0] + words.dropFirst(2)) }
            let outcomes = try deploys.map { try $0.end() }
            let errors = outcomes.map { $0.errors }.joined()
            #expect(outcomes.filter { $0.exit == 0 }.count == 1, "\(errors)")
            #expect(errors.contains("listens there") && !errors.contains("had lost"), "\(errors)")
            for (name, outcome) in zip(names, outcomes) where outcome.exit == 0 {
                #expect(try stage.verb("count", [name]).output == "2\n")
                try stage.change(["terminate", name])
            }
            try stage.expectOnly([])
        }
    }

    /// What cannot be locked is said, and nothing is started.
    @Test func groupsCannotBeLocked() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1")
        let path = "\(stage.runDirectory.text)/web/group.lock"
        unlink(path)
        symlink("/dev/null", path)
        let outcome = try stage.deploy("2", expect: 111)
        #expect(outcome.errors.contains("group.lock"), "\(outcome.errors)")
        unlink(path)
        try stage.deploy("3")
        try stage.expectOnly(try stage.pids())
    }
}
