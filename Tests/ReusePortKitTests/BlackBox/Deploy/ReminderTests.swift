import Foundation
import Testing

@testable import ReusePortKit

/// What a deploy says about the one before, so that nobody is misled.
@Suite struct ReminderTests {
    /// As root, forgetting --user makes the copies root's.
    @Test func optionsThatAreLeftOut() throws {
        let stage = try Stage(.privileged)
        try stage.deploy("1", ["--stop-timeout", "7s", "--umask", "027"])
        let words: [ByteString] = ["deploy", "web", "--run-dir", stage.runDirectory, "--log", "/dev/null"]
        let outcome = try stage.launch(words + ["--socket", stage.socket, "--"] + stage.sampleServer("2")).end()
        #expect(outcome.exit == 0)
        let said = outcome.errors.split(separator: "\n").first {
            $0.contains("warning: web: not given, unlike for generation 1:")
        }
        for option in ["--user nobody", "--umask 027", "--stop-timeout 7s"] {
            #expect(said?.contains(option) == true, "\(outcome.errors)")
        }
        // With migrate they stay, and nothing is said once they are given up.
        let again = try stage.change(["migrate", "web", "--env", "A=b"])
        #expect(!again.errors.contains("not given"), "\(again.errors)")
    }

    @Test func anotherDirectory() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1")
        let folder = stage.box.makeDirectory("release-2")
        chmod(folder, 0o755)
        let words: [ByteString] = ["migrate", "web", "--run-dir", stage.runDirectory]
        let outcome = try stage.box.start(
            words, environment: stage.environment([]), stage.asDeployer + [.changeDirectory(folder)]
        ).end()
        #expect(outcome.exit == 0 && outcome.errors.contains("where it was deployed"), "\(outcome.errors)")
        #expect(try !stage.change(["migrate", "web"]).errors.contains("where it was deployed"))
    }

    @Test func suspension() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1")
        try stage.change(["suspend", "web", "--in-place"])
        let failed = try stage.deploy("2", ["--ready-timeout", "1s"], command: ["/bin/false"], expect: 1)
        #expect(failed.errors.contains("generation 1 stays suspended"), "\(failed.errors)")
        let outcome = try stage.deploy("3")
        #expect(outcome.errors.contains("the suspension ends"), "\(outcome.errors)")
        #expect(try stage.ask().contains("label: 3"))
    }

    /// Stopping all copies first has a price when the code is broken.
    @Test func restartThatFails() throws {
        let stage = try Stage(.ordinary)
        let program = stage.box["app"]
        func write(_ text: String) throws {
            try Data("#!/bin/sh\n\(text)\n".utf8).write(to: URL(fileURLWithPath: program))
            chmod(program, 0o755)
        }
        try write("exec \(try stage.program("sample-server").text) 1")
        try stage.deploy("1", copies: 2, command: [ByteString(program)])
        try write("exit 3")
        let outcome = try stage.launch(["restart", "web", "--at-once", "--run-dir", stage.runDirectory]).end()
        #expect(outcome.exit == 1)
        #expect(
            outcome.errors.hasSuffix("nothing serves now; mend it, then reuseport-exec migrate web\n"),
            "\(outcome.errors)")
    }

    @Test func mistypedApp() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1")
        let outcome = try stage.verb("state", ["wbe"])
        #expect(outcome.exit == 1 && outcome.errors.hasSuffix("; there is web\n"), "\(outcome.errors)")
    }

    @Test func enabled() throws {
        let stage = try Stage(.ordinary)
        let options: [ByteString] = ["--state-dir", "\(stage.home)/state"]
        try stage.deploy("1", options)
        #expect(try !stage.verb("state", ["web"]).output.text.contains("deploys it"))
        try stage.launch(["enable", "web", "--run-dir", stage.runDirectory] + options).endWell()
        #expect(try stage.verb("state", ["web"]).output.text.contains("deploys it"))
        let ended = try stage.verb("terminate", ["web"])
        #expect(ended.errors.contains("the next boot deploys it again"), "\(ended.errors)")
        let forgotten = try stage.verb("forget", ["web"])
        #expect(
            forgotten.exit == 0 && forgotten.errors.contains("does not start at boot any more"), "\(forgotten.errors)")
        #expect(!stage.box.exists("\(stage.home)/state/web"))
    }
}
