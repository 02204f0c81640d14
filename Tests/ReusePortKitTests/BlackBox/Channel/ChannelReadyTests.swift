import Foundation
import Testing

@testable import ReusePortKit

/// Programs that say through a Node channel that they are ready.
@Suite struct ChannelReadyTests {
    @Test(
        arguments: [
            ["\"online\"\n"], ["\"ready\"\n"], [#"{"event":"status-changed","payload":3}\n"#],
            [#" { "payload" : 3, "other": [1], "event": "status-changed" } \n"#],
            // In pieces, behind others, behind what is none, several at once.
            ["\"on", "line", "\"\n"], ["{\"a\":1}\n", "[]\n\"ready\"\n\"more\"\n"],
            ["not json\n", "{{{\n", "\"ready\"\n"],
            [#"{"event":"status-changed","payload":2}\n"#, #"{"cmd":"NODE_CLUSTER","act":"online"}\n"#, "\"ready\"\n"],
            // Longer than anybody reads.
            ["huge", "\n\"ready\"\n"], ["huge", "huge", "\"online\"\n"],
        ])
    func ready(pieces: [String]) throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1", ["--ready", "ipc"], command: try stage.script("talker.js", pieces))
        #expect(try stage.talk().disconnects == 0)
        let state = try stage.verb("state", ["web", "--json"])
        #expect(state.output.text.contains("\"channel\":true"), "\(state.output.text)")
    }

    @Test(
        arguments: [
            ([], "nothing came through its channel"),
            (["\"onlin\"\n", "online\n", #"{"event":"status-changed","payload":30}\n"#], "no message said so"),
            (["\"online\""], "nothing came through its channel"),
        ] as [([String], String)])
    func neverReady(pieces: [String], seen: String) throws {
        let stage = try Stage(.ordinary)
        let outcome = try stage.deploy(
            "1", ["--ready", "ipc", "--ready-timeout", "5s"], command: try stage.script("talker.js", pieces),
            expect: 1)
        #expect(outcome.errors.contains("not ready after"), "\(outcome.errors)")
        #expect(outcome.errors.contains(" s: \(seen)"), "\(outcome.errors)")
        try stage.expectOnly([])
    }

    @Test func closedInsteadOfReady() throws {
        let stage = try Stage(.ordinary)
        let outcome = try stage.deploy(
            "1", ["--ready", "ipc"],
            command: [
                ByteString(try Tool.require("node")), "-e", "process.disconnect(); setInterval(() => {}, 1000)",
            ], expect: 1)
        #expect(outcome.errors.contains("it closed its Node channel before it was ready"), "\(outcome.errors)")
    }

    /// Nobody reads, and nothing piles up: 20 MB of messages, and one that is long.
    @Test(arguments: Level.allCases)
    func flood(level: Level) throws {
        let stage = try Stage(level)
        let copy = try stage.handOver("1", ["--ready", "ipc"], command: try stage.script("talker.js", ["\"ready\"\n"]))
        let talk = try stage.talk("/flood")
        #expect(talk.sent == 100_000 && talk.errors == 0 && talk.disconnects == 0)
        #expect(talk.rss < 400 << 20)
        let later = try stage.talk("/big")
        #expect(later.sent == 100_001 && later.errors == 0 && later.disconnects == 0 && later.pid == copy[0].pid)
        // A copy may be asked to stop all the same.
        _ = try stage.verb("retire", ["web"])
        #expect(try copy[0].end().exit == 7)
    }

    /// Without an app there is nobody to read it from the start.
    @Test func withoutApp() throws {
        let stage = try Stage(.ordinary, .unix)
        let process = try stage.box.start(
            ["--socket", stage.socket, "--pass", "nodesockd", "--"] + (try stage.script("talker.js", ["\"ready\"\n"])),
            environment: Sandbox.environment, stage.asDeployer)
        try waitUntil("its answer") { try stage.ask().contains("pid") }
        let talk = try stage.talk("/flood")
        #expect(talk.sent == 100_000 && talk.errors == 0 && talk.disconnects == 0 && talk.pid == process.pid)
    }

    /// A helper that is killed leaves no program behind that serves with nobody to read from it.
    @Test(arguments: [["--ready", "accept"], ["--ready", "none"], ["--ready", "exec:true"]] as [[ByteString]])
    func otherReadiness(options: [ByteString]) throws {
        let stage = try Stage(.ordinary)
        try stage.deploy(
            "1", options + ["--stop-message", "shutdown"], command: try stage.script("talker.js", []))
        try waitUntil("its answer") { try stage.ask().contains("pid") }
        let talk = try stage.talk("/flood")
        #expect(talk.sent == 100_000 && talk.errors == 0 && talk.disconnects == 0)
    }

    // MARK: - Workers of a cluster

    @Test(arguments: [Site.v4, .v6, .dualStack, .unix])
    func clusterWorker(site: Site) throws {
        let stage = try Stage(.privileged, site)
        try stage.deploy("1", Stage.droverOptions, command: try stage.drover("1"))
        #expect(try stage.ask().contains("worker: 1"))
        try stage.deploy("2", Stage.droverOptions, command: try stage.drover("2"))
        #expect(try stage.ask().contains("label: 2"))
        try stage.expectOnly(try stage.pids())
    }

    @Test func clusterWorkerByDescriptor() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1", Stage.droverOptions, command: try stage.script("drover.js", ["1", "fd:3"]))
        #expect(try stage.ask().contains("label: 1"))
    }

    /// What the app has no socket for is refused, and the rest serves.
    @Test func otherPort() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1", Stage.droverOptions, command: try stage.drover("1", ["1"]))
        try waitUntil("its refusal") { stage.log.contains("refused EADDRNOTAVAIL") }
        #expect(try stage.ask().contains("label: 1"))
        let outcome = try stage.deploy(
            "2", Stage.droverOptions + ["--ready-timeout", "2s"], command: try stage.script("drover.js", ["2", "1"]),
            expect: 1)
        #expect(outcome.errors.contains("unable to deploy generation 2"), "\(outcome.errors)")
    }

    /// As with a cluster's own primary: two that accept from one socket would each wait for the other's connections.
    @Test func samePortTwice() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1", Stage.droverOptions, command: try stage.drover("1", ["again"]))
        try waitUntil("its refusal") { stage.log.contains("refused EADDRINUSE") }
        for _ in 0..<6 { #expect(try stage.ask().contains("label: 1")) }
    }

    /// They are found ready in the usual way as well.
    @Test(arguments: Level.allCases)
    func clusterWorkerThatAccepts(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy(
            "1", copies: 2, ["--pass", "cluster", "--ready", "accept", "--stop-message", "stop,quit"],
            command: try stage.drover("1"))
        let report = try Load(stage).stop()
        #expect(report.lost == 0 && report.byPID.count == 2)
    }

    /// The socket is closed when the worker closes what it was given: it has no other.
    @Test func clustersOwnDisconnect() throws {
        let stage = try Stage(.privileged)
        let message: ByteString = #"{"cmd":"NODE_CLUSTER","act":"disconnect"}"#
        let copy = try stage.handOver(
            "1", ["--pass", "cluster", "--ready", "ipc", "--stop-message", message], command: try stage.drover("1"))
        _ = try stage.verb("terminate", ["web"])
        #expect(try copy[0].end().exit == 0)
    }
}
