import Foundation
import Testing

@testable import ReusePortKit

/// docs/from-haproxy.md
@Suite struct FromHAProxyTests {
    private func command(_ file: String) throws -> [ByteString] {
        [ByteString(try Tool.require("haproxy")), "-db", "-f", ByteString(file)]
    }

    private let options: [ByteString] = ["--env", "HTTP_FD={fd:http}", "--stop-signal", "USR1"]

    private func write(_ stage: Stage, _ label: String, _ more: String = "") -> String {
        stage.box.write(
            "haproxy.cfg",
            """
            defaults
                mode http
                timeout client 30s
                timeout connect 30s
                timeout server 30s
                timeout http-request 60s
            frontend web
                bind fd@${HTTP_FD}
                http-request return status 200 content-type text/plain lf-string "label: \(label)\\npid: %pid\\n"
            \(more)

            """)
    }

    private func expectHandovers(_ stage: Stage) throws {
        let file = write(stage, "1")
        try stage.deploy("1", options, command: try command(file))
        let load = try Load(stage)
        for label in ["2", "3"] {
            _ = write(stage, label)
            try stage.change(["migrate", "web", "--generation", ByteString(label)])
        }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.labels == ["1", "2", "3"])
        try stage.expectOldEnded(2)
    }

    @Test(arguments: Level.allCases)
    func reload(level: Level) throws { try expectHandovers(try Stage(level)) }

    @Test func unixSocket() throws { try expectHandovers(try Stage(.ordinary, .unix)) }

    @Test func refusedConfiguration() throws {
        let stage = try Stage(.privileged)
        try stage.deploy("1", options, command: try command(write(stage, "1")))
        let pid = try stage.pid()
        let load = try Load(stage, connections: 8)
        _ = write(stage, "2", "    no such word\n")
        let outcome = try stage.change(["migrate", "web"], expect: 1)
        #expect(
            outcome.errors.contains("no such word") || outcome.errors.contains("unknown keyword"), "\(outcome.errors)")
        let report = try load.stop()
        #expect(report.lost == 0 && report.labels == ["1"])
        #expect(try stage.pids() == [pid])
    }

    /// What still has clients when its time is over is ended.
    @Test func hardStop() throws {
        let stage = try Stage(.privileged)
        let hard: [ByteString] = ["--keep-retired", "0", "--stop-timeout", "1s"]
        try stage.deploy("1", options + hard, command: try command(write(stage, "1")))
        let old = try stage.pid()
        let client = try Endpoint.connect(.v4(stage.port))
        try client.send("GET / HTTP/1.1\r\n")
        try waitUntil("it has it") {
            try establishedConnections(toLocalPort: stage.port).contains { $0.inode != 0 }
        }
        try stage.change(["migrate", "web"])
        try waitUntil("its end") { startTime(of: old) == nil }
        try stage.expectOnly(try stage.pids())
    }
}
