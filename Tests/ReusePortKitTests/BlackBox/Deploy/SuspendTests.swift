import Foundation
import Testing

@testable import ReusePortKit

/// Generations that stand still while something else is changed, and connections that wait for them.
@Suite struct SuspendTests {
    static let waiting = 1100

    func waitUntilQueued(_ stage: Stage, _ count: Int) throws {
        try waitUntil("\(count) waiting connections") { try stage.queued() >= count }
    }

    func expectAllServed(_ clients: Running, _ count: Int = SuspendTests.waiting) throws {
        var report = Report()
        let outcome = try clients.end()
        #expect(outcome.exit == 0, "\(outcome.errors)")
        try report.add(outcome.output)
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.requests >= count, "\(report.summary)")
    }

    /// What stands still is started again, and stands still.
    @Test(arguments: Level.allCases)
    func restarted(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", copies: 2, ["--suspended"])
        let old = try stage.pids()
        for words in [["restart", "web", "--copy", "1"], ["restart", "web"]] as [[ByteString]] {
            try stage.change(words)
            #expect(try stage.pids().allSatisfy(isStopped))
        }
        #expect(Set(try stage.pids()).isDisjoint(with: old))
        for (verb, app) in [("list", []), ("state", ["web"])] as [(ByteString, [ByteString])] {
            let shown = try stage.verb(verb, app + ["--json"]).output.text
            #expect(shown.contains("\"state\":\"live\",\"suspended\":true"), "\(shown)")
        }
        try stage.change(["resume", "web"])
        #expect(try !stage.verb("state", ["web", "--json"]).output.text.contains("\"suspended\":true"))
        try waitUntil("all go on") { try stage.pids().count == 2 && !stage.pids().contains(where: isStopped) }
    }

    enum Way: CaseIterable { case deploySuspended, suspendVerb }

    /// Node asks for a backlog of 511: two copies could hold 1022 connections.
    @Test(arguments: Level.allCases, Way.allCases)
    func connectionsWait(level: Level, way: Way) throws {
        let stage = try Stage(level)
        try stage.deploy("1", copies: 2, command: try stage.node("1"))
        let old = try stage.pids()
        let outcome =
            way == .deploySuspended
            ? try stage.deploy("2", copies: 2, ["--suspended"], command: try stage.node("2"))
            : try stage.change(["suspend", "web"])
        let limits = try stage.live().flatMap(\.sockets).compactMap(\.accept_limit)
        #expect(limits.count == 2 && limits.allSatisfy { $0 > 511 })
        #expect(outcome.errors.contains("up to \(limits.reduce(0, +)) connections can wait"), "\(outcome.errors)")
        let new = try stage.pids()
        #expect(new.count == 2 && Set(new).isDisjoint(with: old))
        #expect(new.allSatisfy(isStopped))
        try stage.expectOnly(new)

        let clients = try stage.startClients(SuspendTests.waiting)
        try waitUntilQueued(stage, SuspendTests.waiting)
        // The pause itself, not a way to wait for anything.
        Thread.sleep(forTimeInterval: 3)
        #expect(new.allSatisfy(isStopped))
        try stage.change(["resume", "web"])
        try expectAllServed(clients)
        #expect(!new.contains(where: isStopped))
        // Nothing is suspended any more.
        try stage.change(["resume", "web"], expect: 1)
        try stage.deploy("3", command: try stage.node("3"))
    }

    @Test(arguments: Level.allCases)
    func respawnedCopyStartsSuspended(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", copies: 2, ["--suspended"])
        let before = [try stage.pid(0), try stage.pid(1)]
        #expect(before.allSatisfy(isStopped))
        kill(before[1], SIGKILL)
        try waitUntil("its end") { startTime(of: before[1]) == nil }
        let again = try stage.start("1", copies: 2, copy: 1)
        #expect(try stage.wait(["--pid", ByteString(decimal: again.pid)]).exit == 0)
        #expect(isStopped(again.pid))
        let clients = try stage.startClients(64)
        try waitUntilQueued(stage, 64)
        try stage.change(["resume", "web"])
        try expectAllServed(clients, 64)
        let report = try Load(stage).stop()
        #expect(report.lost == 0)
        #expect(Set(report.byPID.keys) == ["\(before[0])", "\(again.pid)"])
    }

    /// What waits for the suspended generation is served by the one that replaces it, or by itself.
    @Test(arguments: Level.allCases)
    func deployOverSuspended(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", copies: 2, ["--suspended"])
        let clients = try stage.startClients(200)
        try waitUntilQueued(stage, 200)
        try stage.deploy("2", copies: 2)
        try expectAllServed(clients, 200)
        let report = try Load(stage).stop()
        #expect(report.lost == 0 && report.labels == ["2"])
        try stage.expectOnly(try stage.pids())
        try stage.change(["resume", "web"], expect: 1)
    }

    /// A program that stands still takes nothing of what waits before it ends: it may be the wrong one by then, or there
    /// may be nothing yet for it to work with.
    @Test(arguments: ["sample", "Node"])
    func theSuspendedOneServesNothing(program: String) throws {
        let stage = try Stage(.privileged)
        func command(_ label: String) throws -> [ByteString] {
            try program == "Node" ? stage.node(label) : stage.sampleServer(label)
        }
        try stage.deploy("1", copies: 2, command: try command("1"))
        try stage.deploy("2", copies: 2, ["--suspended"], command: try command("2"))
        var clients = try stage.startClients(200)
        try waitUntilQueued(stage, 200)
        try stage.deploy("3", copies: 2, command: try command("3"))
        #expect(try served(clients, 200) == ["3"])

        try stage.change(["suspend", "web"])
        clients = try stage.startClients(200)
        try waitUntilQueued(stage, 200)
        let suspended = try stage.pids()
        #expect(try stage.change(["suspend", "web"]).errors.contains("is suspended already"))
        #expect(try stage.pids() == suspended && suspended.allSatisfy(isStopped))
        for words in [["restart", "web"], ["restart", "web", "--copy", "1"]] as [[ByteString]] {
            let before = try stage.pids()
            try stage.change(words)
            try waitUntil("all wait, and the old ones have ended") {
                try stage.queued() == 200 && Set(stage.pids()) != Set(before) && stage.pids().count == 2
            }
            #expect(try stage.pids().allSatisfy(isStopped))
        }
        try stage.change(["resume", "web"])
        try expectAllServed(clients, 200)
    }

    private func served(_ clients: Running, _ count: Int) throws -> Set<String> {
        var report = Report()
        let outcome = try clients.end()
        try report.add(outcome.output)
        #expect(report.lost == 0 && report.requests >= count, "\(report.summary) \(outcome.errors)")
        return Set(report.labels)
    }

    /// What fails changes nothing: it still stands still, and what waits is served later.
    @Test(arguments: Level.allCases)
    func failureOverSuspended(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", copies: 2, ["--suspended"])
        let before = try stage.pids()
        let clients = try stage.startClients(200)
        try waitUntilQueued(stage, 200)
        try stage.deploy("2", copies: 2, command: ["/bin/sh", "-c", "exit 3"], expect: 1)
        #expect(try stage.pids() == before && before.allSatisfy(isStopped))
        if level == .ordinary {
            let fewer = try stage.change(["scale", "web", "1"], expect: 1)
            #expect(fewer.errors.contains("suspended"), "\(fewer.errors)")
        } else {
            try stage.change(["scale", "web", "1"])
        }
        try stage.change(["resume", "web"])
        try expectAllServed(clients, 200)
    }

    @Test(arguments: ["terminate", "retire"] as [ByteString])
    func endOfSuspended(verb: ByteString) throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1", copies: 2, ["--suspended"])
        try stage.change([verb, "web"])
        try stage.expectOnly([])
        try stage.deploy("2")
        #expect(try stage.ask().contains("label: 2"))
    }

    @Test func moreCopiesWhileSuspended() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1", ["--suspended"])
        try stage.change(["scale", "web", "3"])
        let pids = try stage.pids()
        #expect(pids.count == 3 && pids.allSatisfy(isStopped))
        try stage.change(["resume", "web"])
        let report = try Load(stage).stop()
        #expect(report.lost == 0)
        #expect(Set(report.byPID.keys) == Set(pids.map { "\($0)" }))
    }

    /// The control of the next: the same copies under the same load, stopped and started again instead.
    @Test func stoppedInsteadSomeAreLost() throws {
        let stage = try Stage(.privileged)
        try stage.deploy("1", copies: 3)
        var report = Report()
        for _ in 0..<8 {
            let load = try Load(stage)
            try stage.change(["retire", "web"])
            try stage.change(["migrate", "web"])
            report = try load.stop()
            if report.lost > 0 { return }
        }
        Issue.record("nothing was lost without suspending either: \(report.summary)")
    }

    /// No copy is started, and none stops: what comes meanwhile waits, and so does what has been asked.
    @Test(arguments: Level.allCases, [false, true])
    func inPlace(level: Level, isNode: Bool) throws {
        let stage = try Stage(level)
        try stage.deploy("1", copies: 3, command: isNode ? try stage.node("1") : try stage.sampleServer("1"))
        let pids = try stage.pids()
        let load = try Load(stage)
        for _ in 0..<3 {
            let outcome = try stage.change(["suspend", "web", "--in-place"])
            #expect(outcome.errors.contains("stands still with its unfinished requests\n"), "\(outcome.errors)")
            #expect(try stage.pids() == pids && pids.allSatisfy(isStopped))
            try stage.expectOnly(pids)
            for words in [["suspend", "web", "--in-place"], ["suspend", "web"]] as [[ByteString]] {
                #expect(try stage.change(words).errors.contains("is suspended already"))
            }
            #expect(try stage.pids() == pids && pids.allSatisfy(isStopped))
            let clients = try stage.startClients(100)
            try waitUntil("they wait") { try stage.queued() >= 100 }
            let before = load.recorded
            try stage.change(["resume", "web"])
            try expectAllServed(clients, 100)
            try waitUntil("answers") { load.recorded > before + 5000 }
        }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(Set(report.byPID.keys) == Set(pids.map { "\($0)" }))
        let anew = try stage.change(["suspend", "web"])
        #expect(anew.errors.contains("starts the code that is there now"), "\(anew.errors)")
        #expect(Set(try stage.pids()).isDisjoint(with: pids))
    }

    /// A suspend that was killed halfway is completed.
    @Test func inPlaceAgain() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1", copies: 2)
        let pids = try stage.pids()
        try stage.change(["suspend", "web", "--in-place"])
        kill(pids[1], SIGCONT)
        try waitUntil("it goes on") { !isStopped(pids[1]) }
        try stage.change(["suspend", "web", "--in-place"])
        #expect(try stage.pids() == pids && pids.allSatisfy(isStopped))
        try stage.change(["resume", "web"])
        try waitUntil("all go on") { !pids.contains(where: isStopped) }
    }

    /// Not started by deploy: the copies stand still as they are.
    @Test func copiesOfOthers() throws {
        let stage = try Stage(.privileged)
        let copies = try stage.handOver("1", copies: 2, command: try stage.node("1"))
        let outcome = try stage.change(["suspend", "web"])
        for copy in copies { #expect(isStopped(copy.pid)) }
        let limits = try stage.live().flatMap(\.sockets).compactMap(\.accept_limit)
        #expect(limits.count == 2 && limits.allSatisfy { $0 > 511 })
        #expect(outcome.errors.contains("up to \(limits.reduce(0, +)) connections can wait"), "\(outcome.errors)")
        let clients = try stage.startClients(SuspendTests.waiting)
        try waitUntilQueued(stage, SuspendTests.waiting)
        try stage.change(["resume", "web"])
        try expectAllServed(clients)
    }

    // MARK: - Several processes

    private func standStill(_ stage: Stage, processes: Int, command: [ByteString]) throws {
        try stage.deploy("1", ["--suspended"], command: command)
        let master = try stage.pids()
        // Those that it is about to start count too: it may have become ready before.
        #expect(!stage.marked().isEmpty)
        for process in stage.marked() { #expect(isStopped(process.pid), "\(process) of \(master)") }
        try stage.change(["resume", "web"])
        try waitUntil("all processes") { stage.marked().count >= processes }
        let load = try Load(stage)
        // The same again, with all of them at work.
        try stage.change(["suspend", "web"])
        #expect(Set(try stage.pids()).isDisjoint(with: master))
        for process in stage.marked() { #expect(isStopped(process.pid), "\(process)") }
        let before = load.recorded
        #expect(before > 0)
        try stage.change(["resume", "web"])
        try waitUntil("answers") { load.recorded > before + 5000 }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        try stage.change(["terminate", "web"])
        try stage.expectOnly([])
    }

    @Test func forkingTarget() throws {
        let stage = try Stage(.privileged)
        try standStill(stage, processes: 4, command: try stage.python("forking.py", ["3"]))
    }

    @Test func gunicorn() throws {
        let gunicorn = ByteString(try Tool.require("gunicorn"))
        let stage = try Stage(.privileged)
        _ = try stage.box.target("app.py")
        try standStill(
            stage, processes: 4,
            command: [
                gunicorn, "--workers", "3", "--chdir", ByteString(stage.box.path), "--worker-tmp-dir", "/dev/shm",
                "app:wsgi",
            ])
    }
}

extension Stage {
    /// How many connections wait at the stage's port.
    func queued() throws -> Int {
        try internetSockets(.tcp, states: .listening, localPort: port).reduce(0) { $0 + Int($1.acceptQueue) }
    }
}
