import Foundation
import Testing

@testable import ReusePortKit

/// docs/from-lactoserv.md
@Suite struct FromLactoservTests {
    /// A configuration that finds its sockets by name, and a key that only root can read.
    @Test func listensByName() throws {
        let stage = try Stage(.privileged)
        let key = stage.box.write("key.pem", "secret", mode: 0o600)
        let command: [ByteString] = [
            ByteString(try Tool.require("node")), ByteString(try stage.box.target("lactoserv.js")), "same",
        ]
        try stage.expectHandovers(["--pass", "lactoserv", "--file", "key:\(ByteString(key))"], command: command)
        let answer = try stage.ask()
        #expect(answer.contains("uid: 65534\nkey: secret\n"), "\(answer)")
    }
}
