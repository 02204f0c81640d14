import Foundation
import Testing

@testable import ReusePortKit

/// A server that binds again while it serves, as stunnel, squid and proftpd do at SIGHUP.
@Suite struct AdoptReloadTests {
    /// It has the same listener, which keeps its place, its queue and its clients, and is no obstacle to the next deploy.
    @Test(arguments: Level.allCases) func nothingIsLost(level: Level) throws {
        let stage = try Stage(level, settings: [])
        func command(_ label: String) throws -> [ByteString] {
            try stage.python("reload.py", [ByteString(decimal: stage.port), ByteString(label)])
        }
        func binds(_ pid: pid_t) -> Int { stage.log.split(separator: "\n").count { $0 == "bound \(pid)" } }
        try stage.deploy("1", copies: 2, ["--pass", "adopt"], command: try command("1"))
        let pids = try stage.pids()
        let load = try Load(stage)
        for number in 2...3 {
            for pid in pids {
                kill(pid, SIGHUP)
                try waitUntil("it binds again") { binds(pid) == number }
            }
            // Each of them still gets a share.
            let before = load.recorded
            try waitUntil("it goes on") { load.recorded > before + 500 }
        }
        try stage.deploy("2", ["--pass", "adopt"], command: try command("2"))
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.labels == ["1", "2"])
        try stage.expectOnly(try stage.pids())
    }

    /// One that stops outside of a handoff closes its listener as well, if only a moment later.
    @Test func thatStops() throws {
        let stage = try Stage(.privileged, settings: [])
        let script = """
            import signal, socket, sys, time
            server = socket.create_server(('127.0.0.1', int(sys.argv[1])))
            def stop(*_):
                server.close()
                print('closed', flush=True)
                time.sleep(600)
            signal.signal(signal.SIGTERM, stop)
            while True:
                server.accept()[0].close()
            """
        let python: [ByteString] = [ByteString(try Tool.require("python3")), "-S", "-E", "-c", ByteString(script)]
        try stage.deploy("1", ["--pass", "adopt"], command: python + [ByteString(decimal: Int(stage.port))])
        let pid = try #require(try stage.pids().first)
        kill(pid, SIGTERM)
        try waitUntil("it closes") { stage.log.contains("closed") }
        try waitUntil("nobody listens") { try stage.ask().isEmpty }
        #expect(startTime(of: pid) != nil)
    }
}
