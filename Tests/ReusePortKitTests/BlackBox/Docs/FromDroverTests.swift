import Foundation
import Testing

@testable import ReusePortKit

/// docs/from-drover.md
@Suite struct FromDroverTests {
    /// What `worker-exit` was told: an exit with 0 is final, one with another code and a signal are not.
    @Test(arguments: SupervisorKind.allCases)
    func exitReasons(kind: SupervisorKind) throws {
        let stage = try Stage(.ordinary)
        let services = try Services(stage, kind)
        let exits = "\(stage.home)/exits"
        let script = stage.box.write(
            "app.js",
            """
            require('http').createServer((request, response) => response.end()).listen({ fd: 3 });
            process.on('SIGUSR2', () => process.exit(3));
            process.on('SIGTERM', () => process.exit(0));

            """)
        try stage.deploy(
            "1",
            [
                "--on", "\(ByteString(kind.testDescription)):\(ByteString(services.folder))", "--log",
                "\(ByteString(stage.home))/logs", "--permanent", "0", "--on-exit",
                "echo $REUSEPORT_EXEC_KIND $REUSEPORT_EXEC_NEXT >>\(ByteString(exits))",
            ], command: [ByteString(try Tool.require("node")), ByteString(script)])
        func report() -> String { (try? String(contentsOfFile: exits, encoding: .utf8)) ?? "" }
        func next(after old: pid_t) throws -> pid_t {
            try waitUntil("it serves again") { try stage.live().contains { $0.pid != old && $0.state == "live" } }
            return try stage.pid()
        }
        let first = try stage.pid()
        kill(first, SIGUSR2)
        let second = try next(after: first)
        #expect(report() == "abnormal restart\n")
        kill(second, SIGKILL)
        let third = try next(after: second)
        #expect(report() == "abnormal restart\nsignal restart\n")
        kill(third, SIGTERM)
        try waitUntil("its end is told") { report().hasSuffix("normal down\n") }
        #expect(report() == "abnormal restart\nsignal restart\nnormal down\n")
        #expect(try stage.verb("count", ["web"]).output.text == "0\n")
    }

    /// As many masters as were in one program.
    @Test func twoApps() throws {
        let foo = try Stage(.ordinary)
        let other = try Stage(.ordinary)
        try foo.deploy("foo", copies: 2)
        // In the same registry.
        let outcome = try foo.box.start(
            ["deploy", "bar", "--run-dir", foo.runDirectory, "--copies", "4", "--log", "/dev/null"] + other.common
                + ["--"] + foo.sampleServer("bar"), environment: Sandbox.environment + [foo.mark], foo.asDeployer
        ).end()
        #expect(outcome.exit == 0, "\(outcome.errors)")
        #expect(try foo.verb("count", ["web"]).output.text == "2\n")
        #expect(try foo.verb("count", ["bar"]).output.text == "4\n")
        #expect(try foo.ask().contains("label: foo\n"))
        #expect(try other.ask().contains("label: bar\n"))
        let before = try foo.pids()
        #expect(try foo.verb("terminate", ["bar"]).exit == 0)
        #expect(try foo.pids() == before)
    }
}
