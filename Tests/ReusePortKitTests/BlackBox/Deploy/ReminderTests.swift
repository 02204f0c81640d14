import Foundation
import Testing

@testable import ReusePortKit

/// A deploy names its differences from the one before.
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
        let full = try stage.deploy("4", steps: [.changeDirectory(folder)])
        #expect(full.errors.contains("starts in \(folder); generation 3 was started in "), "\(full.errors)")
        #expect(try !stage.deploy("5", steps: [.changeDirectory(folder)]).errors.contains("was started in"))
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
        let state: [ByteString] = ["--state-dir", "\(stage.home)/state"]
        // The name of its control group is that of no other test's, whose run directory may have had the same inode.
        let app: [ByteString] = ["kept", "--run-dir", stage.runDirectory]
        try stage.launch(
            ["deploy"] + app + state + ["--log", "/dev/null"] + stage.common + ["--"] + stage.sampleServer("1")
        ).endWell()
        func said(_ words: [ByteString]) throws -> String {
            let outcome = try stage.box.run(words, stage.asDeployer)
            #expect(outcome.exit == 0, "\(outcome.errors)")
            return outcome.output.text + outcome.errors
        }
        #expect(try !said(["state"] + app).contains("deploys it"))
        #expect(try said(["enable"] + app + state).contains("is kept in \(stage.home)/state"))
        #expect(try said(["state"] + app).contains("deploys it"))
        #expect(try said(["terminate"] + app).contains("the next boot deploys it again"))
        #expect(try said(["forget"] + app).contains("does not start at boot any more"))
        #expect(!stage.box.exists("\(stage.home)/state/kept"))
    }

    /// An enabled app that failed at a boot can be started again.
    @Test func bootThatFailed() throws {
        let stage = try Stage(.ordinary)
        let state: [ByteString] = ["--state-dir", "\(stage.home)/state"]
        let program = stage.box.write("app", "#!/bin/sh\nexec \(quoted(try stage.sampleServer("1")))\n", mode: 0o755)
        try stage.deploy("1", state + ["--at-boot", "--ready-timeout", "2s"], command: [ByteString(program)])
        stage.endDeployed()
        try FileManager.default.removeItem(atPath: stage.runDirectory.text)
        stage.box.write("app", "#!/bin/sh\nexit 3\n", mode: 0o755)
        let failed = try stage.launch(["boot", "--quiet"] + state).end()
        #expect(failed.exit == 1 && !failed.errors.contains("info:"), "\(failed.errors)")
        stage.box.write("app", "#!/bin/sh\nexec \(quoted(try stage.sampleServer("2")))\n", mode: 0o755)
        try stage.launch(["boot"] + state).endWell()
        #expect(try stage.ask().contains("label: 2"))
    }

    /// Two apps at one port, one of which would get all clients of IPv4.
    @Test func wildcardsOfTwoApps() throws {
        let stage = try Stage(.ordinary, settings: [])
        let words: [ByteString] = ["--run-dir", stage.runDirectory, "--log", "/dev/null", "--socket"]
        let command = try ["--"] + stage.sampleServer("1")
        try stage.launch(["deploy", "one"] + words + ["http:*:8080"] + command).endWell()
        let other = try stage.launch(["deploy", "two"] + words + ["http:0.0.0.0:8080"] + command).end()
        #expect(other.exit == 111 && other.errors.contains("of app one listens there"), "\(other.errors)")
        #expect(try !stage.verb("list").output.text.contains("two"))
    }
}
