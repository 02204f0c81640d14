import Foundation
import Testing

@testable import ReusePortKit

/// docs/from-ipcluster.md
@Suite struct FromIpclusterTests {
    @Test func twoPortsThreeCopies() throws {
        let stage = try Stage(.privileged, settings: [])
        let second: [ByteString] = ["--socket", "https:127.0.0.1:8443"]
        func ask(_ port: Int) throws -> String {
            try stage.box.start(
                program: try stage.program("load-generator").text, ["--get", "127.0.0.1:\(port)"], stage.inNetwork
            ).end().output.text
        }
        for label in ["1", "2"] {
            try stage.deploy(label, copies: 3, second, command: try stage.sampleServer(label))
            #expect(try stage.pids().count == 3)
            for port in [8080, 8443] { #expect(try ask(port).contains("label: \(label)\n")) }
        }
    }

    private func nice(of pid: pid_t) -> Int32 { getpriority(__priority_which_t(PRIO_PROCESS.rawValue), id_t(pid)) }

    /// One that finishes a request is lowered, the one that serves is not.
    @Test func retiredNice() throws {
        let stage = try Stage(.privileged)
        try stage.deploy("1", ["--retired-nice", "7"])
        let old = try stage.pid()
        let client = try stage.box.start(
            program: try stage.program("load-generator").text,
            ["--get", "--path", "/slow?ms=60000", "--timeout", "100s", stage.addresses[0]])
        try waitUntil("the request is under way") {
            try establishedConnections(toLocalPort: stage.port).contains { $0.inode != 0 }
        }
        try stage.change(["migrate", "web", "--generation", "2"])
        #expect(nice(of: old) == 7)
        #expect(nice(of: try stage.pid()) == nice(of: 0))
        #expect(try stage.verb("terminate", ["web", "--retired"]).exit == 0)
        _ = try client.end()
        try stage.expectOnly(try stage.pids())
    }
}
