import Foundation
import Testing

@testable import ReusePortKit

/// docs/from-pm2.md
@Suite struct FromPM2Tests {
    /// `process.on('SIGINT', …)` goes on being what stops it, and KILL comes for what does not.
    @Test func interrupted() throws {
        let stage = try Stage(.privileged)
        let script = stage.box.write(
            "app.js",
            """
            const server = require('http').createServer((request, response) => {
                response.end(`label: same\\npid: ${process.pid}\\n`);
            });
            server.listen({ fd: 3 });
            process.on('SIGINT', () => { if (!process.env.STUBBORN) server.close(() => process.exit(0)); });

            """)
        let command = [ByteString(try Tool.require("node")), ByteString(script)]
        let options: [ByteString] = ["--stop-signal", "INT", "--stop-timeout", "1s"]
        try stage.deploy("stubborn", options + ["--env", "STUBBORN=1"], command: command)
        let load = try Load(stage)
        try stage.deploy("1", options, command: command)
        let stubborn = try #require(try stage.generation("stubborn"))
        #expect(stubborn.copies[0].reason.contains("killed"), "\(stubborn.copies[0].reason)")
        for label in ["2", "3"] { try stage.deploy(label, options, command: command) }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        for label in ["1", "2"] {
            let reasons = try #require(try stage.generation(label)).copies.map(\.reason)
            #expect(!reasons.contains { $0.contains("killed") }, "\(reasons)")
        }
    }
}
