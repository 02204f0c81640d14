import Foundation
import Testing

@testable import ReusePortKit

/// docs/from-ipcluster.md
@Suite struct FromIpclusterTests {
    @Test func twoPortsThreeCopies() throws {
        let stage = try Stage(.privileged, settings: [])
        let second: [ByteString] = ["--socket", "https:127.0.0.1:8443"]
        for label in ["1", "2"] {
            try stage.deploy(label, copies: 3, second, command: try stage.sampleServer(label))
            #expect(try stage.pids().count == 3)
            for port in [8080, 8443] { #expect(try stage.ask(at: "127.0.0.1:\(port)").contains("label: \(label)\n")) }
        }
    }

    private func nice(of pid: pid_t) -> Int32 { getpriority(__priority_which_t(PRIO_PROCESS.rawValue), id_t(pid)) }

    /// One that finishes a request is lowered, the one that serves is not.
    @Test func retiredNice() throws {
        let stage = try Stage(.privileged)
        try stage.deploy("1", ["--retired-nice", "7"])
        let old = try stage.pid()
        let client = try stage.slowRequest(milliseconds: 60_000)
        try stage.change(["migrate", "web", "--generation", "2"])
        #expect(nice(of: old) == 7)
        #expect(nice(of: try stage.pid()) == nice(of: 0))
        #expect(try stage.verb("terminate", ["web", "--retired"]).exit == 0)
        _ = try client.end()
        try stage.expectOnly(try stage.pids())
    }
}
