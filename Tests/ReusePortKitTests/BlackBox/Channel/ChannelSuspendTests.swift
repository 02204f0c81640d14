import Foundation
import Testing

@testable import ReusePortKit

/// nodesockd's programs: what is suspended runs, and waits for the message to go on.
@Suite struct ChannelSuspendTests {
    private static let options: [ByteString] = ["--pass", "nodesockd"]

    private func deploy(_ stage: Stage, _ label: String, _ options: [ByteString] = []) throws {
        try stage.deploy(
            label, ChannelSuspendTests.options + options, command: try stage.script("nodesockd_plain.js", [label]))
    }

    private func expectWaiting(_ stage: Stage, _ clients: Running, pid: pid_t) throws {
        // They are connected: the program has taken them.
        try waitUntil("connections") {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count > 60
        }
        #expect(!isStopped(pid))
        // Nobody is answered; the pause itself, not a way to wait for anything.
        usleep(300_000)
        #expect(startTime(of: clients.pid) != nil && ReusePortKitTests.state(of: clients.pid) != "Z")
    }

    private func expectServed(_ clients: Running, by label: String) throws {
        var report = Report()
        let outcome = try clients.end()
        try report.add(outcome.output)
        #expect(outcome.exit == 0 && report.lost == 0, "\(report.summary) \(outcome.errors)")
        #expect(report.labels == [label], "\(report.summary)")
    }

    @Test(arguments: Level.allCases)
    func suspendAndResume(level: Level) throws {
        let stage = try Stage(level, .unix)
        try deploy(stage, "1")
        #expect(try stage.ask().contains("label: 1"))
        try stage.change(["suspend", "web"])
        let pid = try stage.pid()
        let clients = try stage.startClients(64)
        try expectWaiting(stage, clients, pid: pid)
        #expect(try stage.verb("state", ["web"]).output.text.contains("suspended"))
        try stage.change(["resume", "web"])
        try expectServed(clients, by: "1")
        #expect(try stage.pid() == pid)
        try stage.change(["resume", "web"], expect: 1)
        // The next one is not suspended.
        try deploy(stage, "3")
        #expect(try stage.ask().contains("label: 3"))
        try stage.expectOnly(try stage.pids())
    }

    /// Ports of its own are the program's business, before it is ready and after.
    @Test(arguments: Level.allCases)
    func listensElsewhereToo(level: Level) throws {
        let stage = try Stage(level, .unix)
        try deploy(stage, "1")
        let answer = try stage.ask("/late")
        let ports = answer.components(separatedBy: "ports: ").last?.split(separator: " ").compactMap {
            Int($0.trimmingCharacters(in: .whitespacesAndNewlines))
        }
        #expect(ports?.count == 2 && ports?.contains(0) == false, "\(answer)")
        // The next one finds none of them taken.
        try deploy(stage, "2")
        #expect(try stage.ask("/late").contains("ports: "))
        try stage.expectOnly(try stage.pids())
    }

    /// What is started again while the app is suspended waits as well.
    @Test(arguments: Level.allCases)
    func startedAgain(level: Level) throws {
        let stage = try Stage(level, .unix)
        try deploy(stage, "1", ["--suspended"])
        let first = try stage.pid()
        kill(first, SIGKILL)
        try waitUntil("its end") { hasEnded(first) }
        let again = try stage.start(
            "1", ChannelSuspendTests.options, command: try stage.script("nodesockd_plain.js", ["1"]))
        #expect(try stage.wait(["--pid", ByteString(decimal: again.pid)]).exit == 0)
        let clients = try stage.startClients(64)
        try expectWaiting(stage, clients, pid: again.pid)
        try stage.change(["resume", "web"])
        try expectServed(clients, by: "1")
    }

    @Test(arguments: SupervisorKind.allCases)
    func startedAgainBySupervisor(kind: SupervisorKind) throws {
        let stage = try Stage(.privileged, .unix)
        let services = try Services(stage, kind)
        try deploy(stage, "1", services.deployOptions + ["--suspended"])
        let first = try stage.pid()
        kill(first, SIGKILL)
        try waitUntil("its successor") { try stage.live().contains { $0.pid != first && $0.state == "live" } }
        let pid = try stage.pid()
        let clients = try stage.startClients(64)
        try expectWaiting(stage, clients, pid: pid)
        try stage.change(["resume", "web"])
        try expectServed(clients, by: "1")
        try stage.change(["terminate", "web"])
    }

    @Test func restartedWhileSuspended() throws {
        let stage = try Stage(.ordinary, .unix)
        try deploy(stage, "1", ["--suspended"])
        let old = try stage.pid()
        try stage.change(["restart", "web"])
        let pid = try stage.pid()
        #expect(pid != old)
        let clients = try stage.startClients(64)
        try expectWaiting(stage, clients, pid: pid)
        try stage.change(["resume", "web"])
        try expectServed(clients, by: "1")
    }

    /// A program that cannot be told is named, and stays suspended.
    @Test func unreachable() throws {
        let stage = try Stage(.ordinary, .unix)
        try stage.deploy(
            "1", ChannelSuspendTests.options + ["--suspended"],
            command: try stage.script("talker.js", ["\"online\"\n"]))
        let pid = try stage.pid()
        _ = try stage.talk("/away")
        let outcome = try stage.change(["resume", "web"], expect: 111)
        #expect(
            outcome.errors.contains("unable to resume pid \(pid) through its Node channel"),
            "\(outcome.errors)")
        #expect(try stage.verb("state", ["web"]).output.text.contains("suspended"))
        // It is stopped like any other.
        try stage.change(["terminate", "web"])
        try waitUntil("its end") { startTime(of: pid) == nil }
    }

    /// What a suspended copy has started goes on with it, or it could not do what it is told.
    @Test(arguments: Level.allCases, ["terminate", "migrate"] as [ByteString])
    func stoppedWithWhatItHasStarted(level: Level, verb: ByteString) throws {
        let stage = try Stage(level)
        let program = try stage.pm2("1").map(\.text).joined(separator: " ")
        try stage.deploy(
            "1", ["--ready", "ipc", "--stop-message", "shutdown", "--stop-timeout", "20s"],
            command: ["/bin/sh", "-c", ByteString("\(program); true")])
        try stage.change(["suspend", "web"])
        let pid = try stage.pid()
        #expect(isStopped(pid))
        let outcome = try stage.change([verb, "web"])
        #expect(!outcome.errors.contains("killing"), "\(outcome.errors)")
        try waitUntil("its end") { hasEnded(pid) }
    }

    /// In words for those who look: the state tells of the channel.
    @Test func message() throws {
        let stage = try Stage(.ordinary, .unix)
        try stage.deploy(
            "1", ChannelSuspendTests.options + ["--suspended"],
            command: try stage.script("talker.js", ["\"online\"\n"]))
        #expect(try stage.talk().messages == [])
        try stage.change(["resume", "web"])
        try waitUntil("the message") { try stage.talk().messages == ["resume"] }
    }
}
