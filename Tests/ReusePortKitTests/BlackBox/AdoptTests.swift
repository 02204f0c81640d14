import Foundation
import Testing

@testable import ReusePortKit

/// Programs that bind by themselves get the inherited socket.
@Suite struct AdoptTests {
    let box = Sandbox()

    private var user: [ByteString] { Tool.isRoot ? ["--user", "nobody"] : [] }
    private var uid: String { Tool.isRoot ? "65534" : "\(geteuid())" }
    private var node: [ByteString] {
        get throws { ["--", ByteString(try Tool.require("node")), ByteString(try box.target("listen.js"))] }
    }

    /// A port below 1024, as an ordinary user, in the way in which everybody writes it.
    @Test func nodeAtPort80() throws {
        let network = try Network(box)
        let process = try box.start(
            ["--socket", "http:0.0.0.0:80", "--user", "nobody", "--pass", "adopt"] + node + ["80"], [network.step])
        #expect(try process.line() == #"ready node \#(process.pid) {"address":"0.0.0.0","family":"IPv4","port":80}"#)
        let outcome = try box.start(
            program: Tool.require("curl"), ["-s", "http://127.0.0.1/"], [network.step]
        ).end()
        #expect(outcome.output.text == "label: node\npid: \(process.pid)\nuid: 65534\n")
        process.signal(SIGTERM)
        #expect(try process.end().exit == 0)
    }

    @Test func nodeAtPath() throws {
        let path = box["web.sock"]
        let process = try box.start(
            ["--socket", "web:unix:\(path),mode=666", "--pass", "adopt"] + user + node + [ByteString(path)])
        #expect(try process.get(.unix(path)).contains("uid: \(uid)\n"))
        process.signal(SIGTERM)
        #expect(try process.end().exit == 0)
        // Node removes it in vain: it may be another generation's by then.
        #expect(box.exists("web.sock"))
    }
}
