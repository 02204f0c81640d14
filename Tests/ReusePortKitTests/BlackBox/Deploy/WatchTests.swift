import Foundation
import Testing

@testable import ReusePortKit

/// `deploy --watch`: for a time after the cutover the old generation still listens, and comes back if the new one fails.
@Suite struct WatchTests {
    /// Starts a deploy that is watched, and returns when it has taken over.
    private func watched(
        _ stage: Stage, copies: Int = 2, for time: ByteString = "1h", _ options: [ByteString] = []
    ) throws -> Running {
        let deploy = try stage.startDeploy("new", copies: copies, ["--watch", time] + options)
        try deploy.waitFor("is watched for")
        return deploy
    }

    private func expectBack(_ stage: Stage, _ old: [pid_t], _ deploy: Running, _ reason: String) throws {
        let outcome = try deploy.end()
        #expect(outcome.exit == 1)
        #expect(outcome.errors.contains("generation old gets the connections again"), "\(outcome.errors)")
        #expect(outcome.errors.contains("\(reason); generation old serves on"), "\(outcome.errors)")
        #expect(try Load(stage).stop().labels == ["old"])
        try stage.expectOnly(old)
    }

    /// Nothing is lost on the way there and back. The control is below.
    @Test(arguments: Level.allCases)
    func checkFails(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("old", copies: 2)
        let old = try stage.pids()
        let file = "\(stage.home)/ill"
        let load = try Load(stage)
        let deploy = try watched(stage, ["--watch-check", ByteString("test ! -e \(file)")])
        let before = load.recorded
        try waitUntil("the new one serves") { load.recorded > before + 2000 }
        stage.box.write(file, [UInt8](), mode: 0o644)
        try expectBack(stage, old, deploy, "not ready after 5 s: the command exited with 1")
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.labels == ["old", "new"])
        #expect(try stage.verb("history", ["web"]).output.text.contains("the command exited with 1"))
        // A next one takes over as ever.
        try stage.deploy("next", copies: 2)
        try stage.expectOnly(try stage.pids())
    }

    /// What the copy was working on is lost with it; nobody is refused.
    @Test(arguments: Level.allCases)
    func copyCrashes(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("old", copies: 2)
        let old = try stage.pids()
        let deploy = try watched(stage)
        kill_(try #require(try stage.live().first).pid)
        try expectBack(stage, old, deploy, "copy 0: killed by signal 9 (KILL)")
    }

    /// The deploy failed, and its options with it: the next one has those of the generation that serves on.
    @Test func forgottenOptions() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("old")
        let failed = try stage.change(
            ["migrate", "web", "--watch", "1h", "--watch-check", "false", "--env", "KEY=secret"], expect: 1)
        let words = "not kept for the next migrate, since this failed: --watch 1h, --watch-check false, --env KEY=..."
        #expect(failed.errors.contains(words), "\(failed.errors)")
        let next = try stage.change(["migrate", "web"])
        #expect(!next.errors.contains("is watched for"), "\(next.errors)")
        let whole = try stage.deploy(nil, ["--watch", "1h", "--watch-check", "false"], expect: 1)
        #expect(!whole.errors.contains("not kept"), "\(whole.errors)")
    }

    /// A killed `scale` has left a copy of the old generation, which gets no connections. The others come back all the
    /// same.
    @Test(arguments: Level.allCases)
    func besideACopyThatStops(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("old", copies: 2, ["--stop-timeout", "1h"], variables: ["SAMPLE_IGNORE_TERM=1"])
        let old = try stage.pids()
        let scale = try stage.launch(["scale", "web", "1", "--run-dir", stage.runDirectory])
        try waitUntil("copy 1 is about to stop") {
            try stage.verb("state", ["web", "--json"]).output.text.contains(#/"state":"stopping"/#)
        }
        kill_(scale.pid)
        _ = try scale.end()
        let deploy = try watched(stage, copies: 1)
        kill_(try stage.pid())
        try expectBack(stage, old, deploy, "copy 0: killed by signal 9 (KILL)")
    }

    /// With cbpf the kernel's hash chooses among all members when one has gone: a copy of the old generation gets
    /// connections again. It gets none any more when it is told to stop and nobody can reach it: clients would repeat
    /// their SYN after a second.
    @Test(arguments: Level.allCases)
    func crashWhileTheOldOneDrains(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("old", ["--stop-timeout", "2s"], variables: ["SAMPLE_IGNORE_TERM=1"])
        let load = try Load(stage)
        let deploy = try stage.startDeploy("new", copies: 2, ["--settle", "2s"])
        try deploy.waitFor("took over")
        kill_(try #require(try stage.live().first).pid)
        try deploy.waitFor("generation old is told to stop")
        let told = Int64(MonotonicClock.microseconds)
        _ = try deploy.end()
        _ = try load.stop()
        var late: [String] = []
        for line in load.lines {
            let fields = line.split(separator: " ").map { String($0) }
            guard fields.count == 4, let start = Int64(fields[0]) else { continue }
            if start > told - 100_000, Int64(fields[1]) ?? 0 > 900_000 { late.append(String(line)) }
        }
        #expect(late.isEmpty, "\(late.count): \(late.prefix(3))")
    }

    /// The old generation was told nothing yet, so it is none of the retired ones.
    @Test(arguments: Level.allCases)
    func isNotRetired(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("old", copies: 2)
        let old = try stage.pids()
        let deploy = try watched(stage)
        let outcome = try stage.verb("terminate", ["web", "--retired"])
        #expect(outcome.exit == 1 && outcome.errors.contains("no retired generation"), "\(outcome.errors)")
        kill_(try stage.pid())
        try expectBack(stage, old, deploy, "copy 0: killed by signal 9 (KILL)")
    }

    /// Where the old generation has gone as well, the watch is a check.
    @Test(arguments: Level.allCases)
    func nothingToComeBackTo(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("old")
        kill_(try stage.pid())
        try waitUntil("it has gone") { try stage.live().isEmpty }
        let deploy = try watched(stage, copies: 1)
        kill_(try stage.pid())
        let outcome = try deploy.end()
        #expect(outcome.exit == 1 && !outcome.errors.contains("can come back"), "\(outcome.errors)")
        #expect(outcome.errors.contains("copy 0: killed by signal 9 (KILL); nothing serves now"), "\(outcome.errors)")
    }

    /// The control: without --watch nobody is there when the new copies crash.
    @Test(arguments: Level.allCases)
    func withoutIt(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("old", copies: 2)
        try stage.deploy("new", copies: 2)
        let load = try Load(stage)
        let before = load.recorded
        try waitUntil("it serves") { load.recorded > before + 500 }
        for pid in try stage.pids() { kill_(pid) }
        try waitUntil("clients are refused") { try load.has("refused") }
        #expect(try load.stop().lost > 0)
    }

    @Test(arguments: Level.allCases)
    func rolledBack(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("old", copies: 2)
        let old = try stage.pids()
        let load = try Load(stage)
        let deploy = try watched(stage)
        let outcome = try stage.change(["rollback", "web"])
        #expect(outcome.errors.contains("generation old gets the connections again"), "\(outcome.errors)")
        #expect(!outcome.errors.contains("is starting"), "\(outcome.errors)")
        let end = try deploy.end()
        #expect(end.exit == 1)
        #expect(end.errors.contains("it was rolled back; generation old serves on"), "\(end.errors)")
        try stage.expectOnly(old)
        #expect(try Load(stage).stop().labels == ["old"])
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
    }

    /// After a kill the new generation stays, and can still be rolled back; the next deploy ends both.
    @Test(arguments: Level.allCases, [false, true])
    func killed(level: Level, isRolledBack: Bool) throws {
        let stage = try Stage(level)
        try stage.deploy("old", copies: 2)
        let old = try stage.pids()
        let load = try Load(stage)
        let deploy = try watched(stage)
        deploy.signal(SIGKILL)
        _ = try deploy.end()
        #expect(try Load(stage).stop().labels == ["new"])
        if isRolledBack {
            try stage.change(["rollback", "web"])
            try stage.expectOnly(old)
            #expect(try Load(stage).stop().labels == ["old"])
        }
        try stage.deploy("next", copies: 2)
        try stage.expectOnly(try stage.pids())
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
    }

    @Test func interrupted() throws {
        let stage = try Stage(.privileged)
        try stage.deploy("old", copies: 2)
        let old = try stage.pids()
        let deploy = try watched(stage)
        deploy.signal(SIGINT)
        try expectBack(stage, old, deploy, "interrupted by INT")
    }

    @Test(arguments: Level.allCases)
    func allIsWell(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("old", copies: 2)
        let load = try Load(stage)
        try watched(stage, copies: 3, for: "2s").endWell()
        try stage.expectOnly(try stage.pids())
        #expect(try stage.pids().count == 3)
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        // The first generation has nothing to go back to.
        try stage.change(["terminate", "web"])
        try stage.deploy("alone", ["--watch", "1h"])
    }

    /// Copies that commands end are no failure.
    @Test func scaledMeanwhile() throws {
        let stage = try Stage(.privileged)
        try stage.deploy("old", copies: 2)
        let old = try stage.pids()
        let deploy = try watched(stage, copies: 3)
        try stage.change(["scale", "web", "2"])
        try stage.change(["restart", "web", "--copy", "0"])
        try stage.change(["scale", "web", "4"])
        #expect(try stage.live().count == 4)
        kill_(try #require(try stage.live().last).pid)
        try expectBack(stage, old, deploy, "copy 3: it ended by itself, or was killed")
    }

    /// Clients of one that stands still would wait for ever.
    @Test func suspendedBefore() throws {
        let stage = try Stage(.privileged)
        try stage.deploy("old", copies: 2)
        try stage.change(["suspend", "web", "--in-place"])
        let outcome = try stage.deploy("new", copies: 2, ["--watch", "1h"])
        #expect(!outcome.errors.contains("is watched"), "\(outcome.errors)")
        try stage.expectOnly(try stage.pids())
    }

    /// One that is ended while it is watched has not been deployed.
    @Test func terminated() throws {
        let stage = try Stage(.privileged)
        try stage.deploy("old")
        let deploy = try watched(stage)
        try stage.change(["terminate", "web"])
        let outcome = try deploy.end()
        #expect(outcome.exit == 1)
        #expect(outcome.errors.contains("unable to deploy generation new of app web: ended by "), "\(outcome.errors)")
        #expect(!outcome.errors.contains("serves on"), "\(outcome.errors)")
        #expect(try stage.pids().isEmpty)
    }

    /// Another deploy, whose copies take the slots of the old generation, closes the way back; it ends both.
    @Test(arguments: Level.allCases)
    func another(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("old", copies: 2)
        let load = try Load(stage)
        let deploy = try watched(stage)
        try stage.deploy("bad", copies: 2, ["--ready-timeout", "500ms"], command: ["/bin/sleep", "1000"], expect: 1)
        let back = try stage.change(["rollback", "web"])
        #expect(back.errors.contains("is starting"), "\(back.errors)")
        let outcome = try deploy.end()
        #expect(outcome.exit == 1)
        #expect(outcome.errors.contains("generation 4 took over; generation 4 serves on"), "\(outcome.errors)")
        try stage.expectOnly(try stage.pids())
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
    }

    /// The launcher's helper watches as well.
    @Test func launcher() throws {
        let stage = try Stage(.privileged)
        let old = try stage.start("old")
        try waitUntil("it serves") { try stage.ask().contains("label: old") }
        let new = try stage.start("new", ["--watch", "1h"])
        try new.waitFor("is watched for")
        kill_(new.pid)
        try waitUntil("the old one is back") { try stage.ask().contains("label: old") }
        #expect(try stage.pids() == [old.pid])
        #expect(try stage.generation("new")?.state == "failed")
    }

    @Test func refused() throws {
        let unix = try Stage(.ordinary, .unix)
        let outcome = try unix.deploy("1", ["--watch", "5s"], expect: 100)
        #expect(outcome.errors.contains("its path is the new generation's after the cutover"), "\(outcome.errors)")
        let stage = try Stage(.ordinary)
        let supervised = try stage.deploy("1", ["--watch", "5s", "--on", "runit:/etc"], expect: 100)
        #expect(supervised.errors.contains("the supervisor of --on"), "\(supervised.errors)")
    }
}

private func kill_(_ pid: pid_t) { kill(pid, SIGKILL) }
