import Foundation
import Testing

@testable import ReusePortKit

/// docs/from-niagra.md
@Suite struct FromNiagraTests {
    /// A file of niagra's, for a server that knows its second form and its signal.
    private func configuration(_ stage: Stage, copies: Int) throws -> ByteString {
        ByteString(
            stage.box.write(
                "web.conf",
                """
                # as it was
                command: \(try Tool.require("node")) \(try stage.box.target("niagra2.js")) same
                user: nobody
                copies: \(copies)
                socket: http insecure 4 127.0.0.1 \(stage.port) 511
                environment: production

                """))
    }

    @Test func usr2() throws {
        let stage = try Stage(.privileged)
        let file = try configuration(stage, copies: 2)
        let words: [ByteString] = [
            "deploy", "--config", file, "--log", ByteString(stage.logPath), "--stop-signal", "USR2",
        ]
        try stage.change(words)
        #expect(try stage.ask().contains("environment: production"))
        let load = try Load(stage)
        for _ in 0..<3 { try stage.change(["migrate", "web"]) }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.byPID.count == 8)
        try stage.expectOnly(try stage.pids())
    }
}
