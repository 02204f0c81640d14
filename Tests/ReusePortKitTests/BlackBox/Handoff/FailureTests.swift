import Foundation
import Testing

@testable import ReusePortKit

/// How a new generation can fail to take over, and what `wait` says of it.
struct Mishap: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var options: [ByteString] = []
    var copies = 1
    /// Of each copy.
    var variables: @Sendable (Int) -> [ByteString] = { _ in [] }
    /// Of each copy; nil: the sample server.
    var command: @Sendable (Int) -> [ByteString]? = { _ in nil }
    var reason: String

    static let all: [Mishap] = [
        Mishap(
            testDescription: "exits at once", command: { _ in ["/bin/sh", "-c", "exit 7"] }, reason: "exited with 7"),
        Mishap(
            testDescription: "is killed", command: { _ in ["/bin/sh", "-c", "kill -SEGV $$"] },
            reason: "killed by signal 11"),
        Mishap(
            testDescription: "crashes while it starts",
            variables: { _ in ["SAMPLE_BOOT_MS=100", "SAMPLE_CRASH=boot"] }, reason: "exited with 3"),
        Mishap(
            testDescription: "is never ready", options: ["--ready-timeout", "500ms"],
            variables: { _ in ["SAMPLE_BOOT_MS=600000"] }, reason: "not ready"),
        Mishap(
            testDescription: "answers 500",
            options: ["--ready", "http:http:/health", "--ready-timeout", "2s"],
            variables: { _ in ["SAMPLE_HEALTH=500"] }, reason: "answered 500"),
        Mishap(
            testDescription: "crashes when it is ready, before the last copy is", copies: 2,
            variables: { $0 == 0 ? ["SAMPLE_BOOT_MS=600000"] : ["SAMPLE_CRASH=after-ready-100"] },
            reason: "exited with 3"),
        Mishap(
            testDescription: "one of four fails", copies: 4,
            command: { $0 == 3 ? ["/bin/sh", "-c", "exit 9"] : nil }, reason: "exited with 9"),
        Mishap(
            testDescription: "is not found", command: { _ in ["/nonexistent/server"] },
            reason: "unable to execute /nonexistent/server"),
    ]
}

/// What goes wrong on either side of a handoff, under load: clients lose nothing.
@Suite struct FailureTests {
    @Test(arguments: Level.allCases, Mishap.all)
    func newOneFails(level: Level, mishap: Mishap) throws {
        let stage = try Stage(level)
        let old = try stage.handOver("1")
        let load = try Load(stage)
        var failing: [Running] = []
        for copy in 0..<mishap.copies {
            // The last one is what fails, when it is known that the others belong to it.
            for earlier in failing { try waitUntil("a helper") { try stage.helper(of: earlier.pid) != nil } }
            failing.append(
                try stage.start(
                    "2", copies: mishap.copies, copy: copy, mishap.options, variables: mishap.variables(copy),
                    command: mishap.command(copy)))
        }
        let outcome = try stage.wait(
            mishap.copies == 1 ? ["--pid", ByteString(decimal: failing[0].pid)] : ["--generation", "2"])
        #expect(outcome.exit == 1)
        #expect(outcome.errors.contains(mishap.reason), "\(outcome.errors)")
        // All of them have gone, those too that were well.
        for process in failing { _ = try process.end() }
        #expect(state(of: old[0].pid) != "Z", "the old one has ended")
        #expect(try stage.verb("check", ["web", "--generation", "1"]).exit == 0)
        #expect(try stage.verb("check", ["web", "--generation", "2"]).exit == 1)

        let next = try stage.handOver("3")
        #expect(try old[0].end().exit == 0)
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.byPID.keys.sorted() == [old[0].pid, next[0].pid].map { "\($0)" }.sorted())
    }

    // MARK: - The old one

    @Test(arguments: Level.allCases)
    func oldOneIgnoresTheStopSignal(level: Level) throws {
        try replaceStubborn(level, "SAMPLE_IGNORE_TERM=1")
    }

    @Test(arguments: Level.allCases)
    func oldOneKeepsItsListener(level: Level) throws {
        try replaceStubborn(level, "SAMPLE_KEEP_LISTENING=1")
    }

    private func replaceStubborn(_ level: Level, _ variable: ByteString) throws {
        let stage = try Stage(level)
        let timeout: [ByteString] = ["--stop-timeout", "1s"]
        let old = try stage.handOver("1", timeout, variables: [variable])
        let load = try Load(stage)
        let new = try stage.handOver("2", timeout)
        // The old one is there and listens, and gets nothing any more.
        #expect(kill(old[0].pid, 0) == 0)
        let second = try Load(stage, connections: 16).stop()
        #expect(second.lost == 0)
        #expect(second.labels == ["2"])
        let outcome = try old[0].end()
        #expect(outcome.exit == nil && outcome.status & 0x7F == SIGKILL, "\(outcome.status)")
        // It is told of.
        try new[0].waitFor("\(old[0].pid)")
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.labels == ["1", "2"])
        #expect(try stage.handOver("3").count == 1)
    }

    /// Each copy has its own time, and no more.
    @Test func stopTimeouts() throws {
        let stage = try Stage(.privileged)
        let copies = try ["500ms", "10m"].enumerated().map { copy, time in
            try stage.start(
                "1", copies: 2, copy: copy, ["--stop-timeout", ByteString(time)],
                variables: ["SAMPLE_KEEP_LISTENING=1"])
        }
        #expect(try stage.wait(["--generation", "1"]).exit == 0)
        _ = try stage.handOver("2")
        let began = ContinuousClock.now
        #expect(try copies[0].end().status & 0x7F == SIGKILL)
        // Many times what it has, for a machine that is busy, and less than the half minute that is usual.
        #expect(.now - began < .seconds(20))
        #expect(!hasEnded(copies[1].pid))
        copies[1].kill()
    }

    // MARK: - A live copy

    /// Connections that wait at a copy when it is killed go to its siblings.
    @Test func killedWithConnectionsQueued() throws {
        let stage = try Stage(.privileged)
        let copies = try stage.handOver("1", copies: 2)
        let report = try killWhileQueueing(stage, copies[0])
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.byPID.keys.contains("\(copies[1].pid)"))
    }

    @Test func withoutHelpTheQueueIsLost() throws {
        let stage = try Stage(.ordinary)
        let copies = [try stage.startPlain("1"), try stage.startPlain("2")]
        let report = try killWhileQueueing(stage, copies[0])
        #expect(report.lost > 0, "\(report.summary)")
    }

    /// Stops a copy until all clients have gathered in its accept queue, and kills it there.
    private func killWhileQueueing(_ stage: Stage, _ copy: Running) throws -> Report {
        copy.signal(SIGSTOP)
        try waitUntil("the copy stands still") { state(of: copy.pid) == "T" }
        let load = try Load(stage)
        try waitUntil("all clients are queued") {
            let listeners = try internetSockets(.tcp, states: .listening, localPort: stage.port)
            return listeners.contains { $0.acceptQueue >= Load.connections }
        }
        copy.signal(SIGKILL)
        // At the other one, or with the news.
        let before = load.recorded
        try waitUntil("they go on") { load.recorded > before + 10_000 }
        return try load.stop()
    }

    /// A child that the old one had started before it served, and that knows nothing of the listener, is in the way. It
    /// alone is told to end: what the old one is at is finished.
    @Test(arguments: Level.allCases)
    func childKeepsTheListener(level: Level) throws {
        let stage = try Stage(level)
        let options: [ByteString] = ["--stop-timeout", "300ms"]
        let old = try stage.handOver("1", options, command: try stage.python("parent.py", ["{fd:http}", "1"]))
        let client = try stage.request("/slow")
        try old[0].waitFor("slow")
        let new = try stage.handOver("2", options)
        try waitUntil("the old listener has gone") { try sockets(of: .tcp, on: stage.port).count == 1 }
        #expect(try client.end().output.text.contains("label: 1\n"))
        #expect(try old[0].end().exit == 0)
        #expect(!new[0].errors.contains("killing"), "\(new[0].errors)")
    }
}
