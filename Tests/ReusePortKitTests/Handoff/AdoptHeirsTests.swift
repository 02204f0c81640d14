import Foundation
import Testing

@testable import ReusePortKit

/// What a program starts before it binds has the launcher's descriptors, as the program had them.
@Suite struct AdoptHeirsTests {
    /// It never used them: it is left in peace, and the copy need not be killed either.
    @Test func itIsLeftInPeace() throws {
        let stage = try Stage(.privileged, settings: [])
        func command(_ label: String) throws -> [ByteString] {
            let server = try BindingServer.node.command(stage, label).map(\.text).joined(separator: " ")
            return ["/bin/sh", "-c", ByteString("sleep 500 & echo started $!; exec \(server)")]
        }
        let options: [ByteString] = ["--pass", "adopt", "--stop-timeout", "20s"]
        try stage.deploy("1", options, command: try command("1"))
        let heir = try #require(
            stage.log.split(separator: "\n").first { $0.hasPrefix("started ") }.flatMap { pid_t($0.dropFirst(8)) })
        defer { kill(heir, SIGKILL) }
        #expect(FileManager.default.fileExists(atPath: "/proc/\(heir)/fd/100"))
        let outcome = try stage.deploy("2", options, command: try command("2"))
        #expect(!outcome.errors.contains("killing"), "\(outcome.errors)")
        #expect(outcome.errors.contains("generation 1 has "), "\(outcome.errors)")
        #expect(startTime(of: heir) != nil)
    }
}
