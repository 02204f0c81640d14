import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// Mistakes of whoever deploys cost the running generation nothing.
@Suite(.serialized)
struct MistakeTests {
    /// "As soon as it runs" is not before it runs. The variables make the launcher's last steps long enough to be late.
    @Test func commandThatIsNotThere() throws {
        let stage = try Stage(.ordinary)
        _ = try stage.handOver("a")
        let variables = (0..<1500).flatMap { ["--env", "A\($0)=b"] as [ByteString] }
        let new = try stage.start("b", ["--ready", "none"] + variables, command: ["/no/such"])
        #expect(try new.end().exit == 127)
        #expect(try stage.wait(["--generation", "b"]).exit == 1)
        #expect(try stage.verb("check", ["web", "--generation", "a"]).exit == 0)
    }

    @Test func fileAtTheSocketsPath() throws {
        let stage = try Stage(.ordinary, .unix)
        stage.box.write(stage.socketPath, Array("precious".utf8), mode: 0o644)
        let new = try stage.start("a")
        #expect(try new.end().exit == 111)
        #expect(FileManager.default.contents(atPath: stage.socketPath) == Data("precious".utf8))
    }

    @Test func socketUnderAnotherName() throws {
        let stage = try Stage(.ordinary)
        _ = try stage.handOver("a")
        let words: [ByteString] = [
            "--app", "web", "--run-dir", stage.runDirectory, "--socket", "other:127.0.0.1:\(stage.port)",
        ]
        let new = try stage.box.run(words + ["--", "/bin/true"], stage.asDeployer)
        #expect(new.exit == 100)
        #expect(try stage.verb("check", ["web", "--generation", "a"]).exit == 0)
    }

    @Test func addressOfAnotherApp() throws {
        let stage = try Stage(.ordinary)
        _ = try stage.handOver("a")
        let words: [ByteString] = ["--app", "other", "--run-dir", stage.runDirectory, "--socket", stage.socket]
        let new = try stage.box.run(words + ["--", "/bin/true"], stage.asDeployer)
        #expect(new.exit == 111)
        #expect(try stage.verb("check", ["web", "--generation", "a"]).exit == 0)
    }
}

/// Numbers in the registry that nobody has written.
struct DamagedNumberTests {
    @Test func overflow() {
        #expect(AppRecord(text: "format=1\nsequence=18446744073709551615\nend=\n") == nil)
        let copy: ByteString =
            "format=1\ngeneration=1\ncopy=0\nprocess=1 1\nstate=live\nsince=1\nstop=15 100\nnice=-2147483648\nend=\n"
        #expect(CopyRecord(text: copy)?.nice == nil)
    }
}
