import Foundation
import Testing

@testable import ReusePortKit

/// docs/from-start_server.md
@Suite struct FromStartServerTests {
    /// Starlet, which was made to run below start_server.
    @Test func starlet() throws {
        let plackup = try Tool.require("plackup")
        let check = try Sandbox.plainRun([try Tool.require("perl"), "-MPlack::Handler::Starlet", "-e", "1"])
        if check.exit != 0 { throw try Tool.missing("Starlet is not installed") }
        let stage = try Stage(.privileged)
        let command: [ByteString] = [
            ByteString(plackup), "-s", "Starlet", "--max-workers", "4", "-E", "deployment",
            ByteString(try stage.box.target("hello.psgi")),
        ]
        try stage.expectHandovers(
            copies: 1, ["--pass", "server-starter", "--env", "LABEL=same"], command: command)
    }
}
