import Foundation
import Testing

@testable import ReusePortKit

/// docs/from-systemd.md
@Suite struct FromSystemdTests {
    let box = Sandbox()

    private func python() throws -> [ByteString] {
        [ByteString(try Tool.require("python3")), "-S", "-E", ByteString(try box.target("listen_fds.py"))]
    }

    private func ask(_ process: Running, _ port: UInt16) throws -> String {
        let endpoint = try process.connect(.v4(port))
        try endpoint.send("hello")
        return try endpoint.receive()
    }

    /// A server that was written for socket units does not see who has started it.
    @Test func sameVariables() throws {
        let activate = try Tool.require("systemd-socket-activate")
        let port = try freePort()
        let theirs = try box.start(
            program: activate, ["-l", "127.0.0.1:\(port)", "--fdname=web"] + python())
        #expect(try ask(theirs, port) == "web \(theirs.pid) \(geteuid()) hello")
        theirs.kill()
        let ours = try box.start(["--socket", "web:127.0.0.1:\(port)", "--"] + python())
        #expect(try ask(ours, port) == "web \(ours.pid) \(geteuid()) hello")
    }
}
