import Foundation
import Testing

@testable import ReusePortKit

/// Copies that are told to stop through their Node channel.
@Suite struct ChannelStopTests {
    private func handOvers(
        _ stage: Stage, _ options: [ByteString], copies: Int? = nil, times: Int = 5,
        _ command: (String) throws -> [ByteString]
    ) throws -> (report: Report, said: String) {
        try stage.deploy("1", copies: copies, options, command: try command("1"))
        let load = try Load(stage)
        var said = ""
        for number in 2...times + 1 {
            said += try stage.deploy("\(number)", copies: copies, options, command: try command("\(number)")).errors
        }
        // The last one has answered by then.
        _ = try Load(stage).stop()
        let report = try load.stop()
        return (report, said)
    }

    /// Only the message can end these programs: after a mere signal they would be killed.
    @Test(arguments: Level.allCases)
    func nothingIsLost(level: Level) throws {
        let stage = try Stage(level)
        let (report, said) = try handOvers(stage, ["--ready", "ipc", "--stop-message", "shutdown"]) {
            try stage.pm2($0)
        }
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.labels == Set((1...6).map { "\($0)" }))
        #expect(!said.contains("warning"), "\(said)")
        try waitUntil("the end of the others") { stage.marked().count == 1 }
    }

    /// A control: the same program, ended by the signal as one that has no handler for it.
    @Test func withoutMessageSomeIsLost() throws {
        // What is short may be over before anybody is told to stop.
        let stage = try Stage(.privileged)
        var report = Report()
        for _ in 0..<5 {
            report = try handOvers(stage, ["--ready", "ipc"]) { try stage.pm2($0, after: 1000, isMortal: true) }.report
            if report.lost > 0 { return }
            try stage.change(["terminate", "web"])
        }
        Issue.record("nothing was lost by signal either: \(report.summary)")
    }

    /// Two messages: the second when what was in flight is finished.
    @Test(arguments: Level.allCases)
    func drover(level: Level) throws {
        let stage = try Stage(level)
        let (report, said) = try handOvers(stage, Stage.droverOptions, copies: 2) { try stage.drover($0) }
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.labels == Set((1...6).map { "\($0)" }))
        #expect(!said.contains("warning"), "\(said)")
        try stage.expectOnly(try stage.pids())
    }

    /// It would end at once on the second one.
    @Test(arguments: Level.allCases)
    func secondMessageWaitsForAnswers(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", Stage.droverOptions, command: try stage.drover("1"))
        let client = try stage.slowRequest(milliseconds: 2000)
        try stage.deploy("2", Stage.droverOptions, command: try stage.drover("2"))
        #expect(try client.end().output.text.contains("label: 1\n"))
        try stage.expectOnly(try stage.pids())
    }

    /// Not by message, but by its own signal and in its own words.
    @Test(arguments: Level.allCases)
    func niagra(level: Level) throws {
        let stage = try Stage(level)
        let (report, said) = try handOvers(stage, ["--pass", "niagra", "--stop-signal", "USR2"]) {
            try stage.script("niagra.js", [$0])
        }
        #expect(report.lost == 0, "\(report.summary)")
        #expect(!said.contains("warning"), "\(said)")
        try waitUntil("the end of the others") { stage.marked().count == 1 }
    }

    @Test(arguments: ["retire", "terminate", "restart"] as [ByteString])
    func verbs(verb: ByteString) throws {
        let stage = try Stage(.privileged)
        let options: [ByteString] = ["--ready", "ipc", "--stop-message", "shutdown"]
        let old: [pid_t]
        if verb == "restart" {
            try stage.deploy("1", options, command: try stage.pm2("1"))
            old = try stage.pids()
        } else {
            old = [try stage.handOver("1", options, command: try stage.pm2("1"))[0].pid]
        }
        let outcome = try stage.change([verb, "web"])
        #expect(!outcome.errors.contains("warning"), "\(outcome.errors)")
        try waitUntil("its end") {
            old.allSatisfy { hasEnded($0) }
        }
    }

    /// A program that does nothing on the message is killed after its time.
    @Test func unheard() throws {
        let stage = try Stage(.privileged)
        let copy = try stage.handOver(
            "1", ["--ready", "ipc", "--stop-message", #"{"event":"stop"}"#, "--stop-timeout", "500ms"],
            command: try stage.script("talker.js", ["\"ready\"\n"]))
        let outcome = try stage.verb("terminate", ["web"])
        #expect(outcome.errors.contains(#"500ms after {"event":"stop"}"#), "\(outcome.errors)")
        #expect(try copy[0].end().status & 0x7F == SIGKILL)
    }

    // MARK: - Programs that do harm

    /// Where the channel was is something else: it gets the stop signal, and what is there gets nothing.
    @Test(arguments: Level.allCases, ["/close", "/replace", "/socket", "/away"] as [ByteString])
    func changedDescriptor(level: Level, way: ByteString) throws {
        let stage = try Stage(level)
        let copy = try stage.handOver(
            "1", ["--ready", "ipc", "--stop-message", "shutdown"],
            command: try stage.script("talker.js", ["\"ready\"\n"]))
        let talk = try stage.talk(way)
        if way != "/close" && way != "/away" { #expect(talk.number == 5) }
        let outcome = try stage.verb("terminate", ["web"])
        #expect(outcome.exit == 0, "\(outcome.errors)")
        #expect(
            outcome.errors.contains("gets its stop signal, for its Node channel cannot be used"), "\(outcome.errors)")
        #expect(try copy[0].end().exit == 7)
    }

    /// A file whose close(2) never returns: nobody waits for it.
    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/fuse"), "there is no /dev/fuse"))
    func neverClosed() throws {
        let stage = try Stage(.privileged)
        _ = try stage.box.target("fuse.py")
        // Not as another user, for its mount takes root.
        let log = "\(stage.home)/fuse.log"
        let deployed = try stage.box.run([
            "deploy", "web", "--run-dir", stage.runDirectory, "--socket", stage.socket, "--log", ByteString(log),
            "--ready", "ipc", "--stop-message", "shutdown", "--", ByteString(try Tool.require("python3")), "-u",
            ByteString(try stage.box.target("fuse_channel.py")),
        ])
        try #require(deployed.exit == 0, "\(deployed.errors)")
        try waitUntil("its file") { try String(contentsOfFile: log, encoding: .utf8).contains("swapped") }
        let outcome = try stage.verb("terminate", ["web"])
        #expect(outcome.exit == 0 && outcome.errors.contains("gets its stop signal"), "\(outcome.errors)")
        #expect(!outcome.errors.contains("killing"), "\(outcome.errors)")
    }

    /// It sends without end, and never says that it is ready: it has its time and no more.
    @Test func endlessGarbage() throws {
        let stage = try Stage(.privileged)
        let script = """
            const send = () => { try { require('fs').writeSync(4, Buffer.alloc(65000, 123)); } catch { }
            setImmediate(send); }; send();
            """
        let outcome = try stage.deploy(
            "1", ["--ready", "ipc", "--ready-timeout", "1s"],
            command: [ByteString(try Tool.require("node")), "-e", ByteString(script)], expect: 1)
        #expect(outcome.errors.contains("not ready after"), "\(outcome.errors)")
        try stage.expectOnly([])
    }

    // MARK: - What is refused

    @Test(
        arguments: [
            (["--stop-message", "{event:stop}"], "this is not JSON"),
            (["--stop-message", "stop,"], "a message is empty"),
            (["--stop-message", "stop", "--env", "NODE_CHANNEL_FD=9"], "it describes the Node channel"),
            (["--pass", "cluster,systemd"], "they are sent through the Node channel"),
            (["--pass", "cluster", "--env", "NODE_UNIQUE_ID=9"], "--pass cluster sets it"),
        ] as [([ByteString], String)])
    func refused(options: [ByteString], reason: String) throws {
        let stage = try Stage(.ordinary)
        let outcome = try stage.deploy("1", options, expect: 100)
        #expect(outcome.errors.contains(reason), "\(outcome.errors)")
        let alone = try stage.box.run(["--socket", stage.socket, "--pass", "cluster", "--", "true"])
        #expect(alone.exit == 100 && alone.errors.contains("it goes with --app"), "\(alone.errors)")
    }
}
