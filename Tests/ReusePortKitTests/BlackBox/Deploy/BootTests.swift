import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// `boot` deploys enabled apps again when the run directory and all processes have gone.
@Suite struct BootTests {
    private func stateDirectory(_ stage: Stage) -> ByteString { "\(stage.home)/state" }

    /// Ends all copies and removes the registry, as a reboot does.
    private func reboot(_ stage: Stage) throws {
        stage.endDeployed()
        try FileManager.default.removeItem(atPath: stage.runDirectory.text)
    }

    private func boot(_ stage: Stage, expect: Int32 = 0, _ location: SourceLocation = #_sourceLocation) throws
        -> Outcome
    {
        let outcome = try stage.launch(["boot", "--state-dir", stateDirectory(stage)]).end()
        #expect(outcome.exit == expect, "\(outcome.errors)", sourceLocation: location)
        return outcome
    }

    @Test(arguments: Level.allCases) func startsAgain(level: Level) throws {
        let stage = try Stage(level)
        let options: [ByteString] = ["--state-dir", stateDirectory(stage)]
        try stage.deploy("1", copies: 2, options + ["--at-boot"], variables: ["COLOR=blue"])
        // Nobody but this user may read an environment.
        #expect(stage.box.status("\(stateDirectory(stage).text)/web/deployment.0")!.st_mode & 0o777 == 0o600)
        try reboot(stage)
        _ = try boot(stage)
        let pids = try stage.pids()
        #expect(pids.count == 2)
        #expect(try stage.ask().contains("label: 1"))
        for pid in pids {
            let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/environ") ?? Data()
            #expect(bytes.split(separator: 0).contains { String(decoding: $0, as: UTF8.self) == "COLOR=blue" })
        }
        // Running apps are left alone.
        _ = try boot(stage)
        #expect(try stage.pids() == pids)
    }

    /// It is the last version that served which comes back, with as many copies.
    @Test func laterVersions() throws {
        let stage = try Stage(.ordinary)
        let options: [ByteString] = ["--state-dir", stateDirectory(stage)]
        try stage.deploy("1", options)
        try stage.launch(["enable", "web", "--run-dir", stage.runDirectory] + options).endWell()
        try stage.deploy("2", options)
        try stage.deploy("3", options + ["--ready-timeout", "1s"], command: ["/bin/false"], expect: 1)
        try stage.change(["scale", "web", "2"])
        try reboot(stage)
        _ = try boot(stage)
        #expect(try stage.ask().contains("label: 2"))
        #expect(try stage.pids().count == 2)
        // From now on it stays away.
        try stage.launch(["disable", "web"] + options).endWell()
        #expect(try stage.launch(["disable", "web"] + options).end().exit == 1)
        try stage.deploy("4", options)
        try reboot(stage)
        _ = try boot(stage)
        #expect(try stage.copies().isEmpty)
        let outcome = try stage.launch(["migrate", "web", "--run-dir", stage.runDirectory] + options).end()
        #expect(outcome.exit == 100 && outcome.errors.contains("a boot forgets what is not enabled"))
    }

    /// `migrate` knows an enabled app before `boot` has run.
    @Test func byMigrate() throws {
        let stage = try Stage(.ordinary)
        let options: [ByteString] = ["--state-dir", stateDirectory(stage)]
        try stage.deploy("1", options + ["--at-boot"])
        try reboot(stage)
        let words: [ByteString] = ["migrate", "web", "--run-dir", stage.runDirectory, "--env", "COLOR=red"]
        try stage.launch(words + options).endWell()
        #expect(try stage.ask().contains("label: 1"))
    }

    /// One that does not come up does not keep the others from starting.
    @Test func failure() throws {
        let stage = try Stage(.ordinary)
        let options: [ByteString] = ["--state-dir", stateDirectory(stage)]
        let script = stage.box.write("server", "#!/bin/sh\nexec \(quoted(try stage.sampleServer("1")))\n", mode: 0o755)
        try stage.deploy("1", options + ["--at-boot"])
        let other: [ByteString] = [
            "deploy", "admin", "--run-dir", stage.runDirectory, "--socket", "admin:unix:\(stage.home)/admin.sock",
            "--log", "/dev/null", "--at-boot",
        ]
        try stage.launch(other + options + ["--", ByteString(script)]).endWell()
        try reboot(stage)
        unlink(script)
        let outcome = try boot(stage, expect: 1)
        #expect(outcome.errors.contains("start admin: see the lines above"), "\(outcome.errors)")
        #expect(outcome.errors.contains("no such file or directory"), "\(outcome.errors)")
        #expect(try stage.ask().contains("label: 1"))
    }

    /// Whoever can write there could have anything run at boot.
    @Test func directoryOfOthers() throws {
        let stage = try Stage(.ordinary)
        let open = stage.box.makeDirectory("open", mode: 0o777)
        let outcome = try stage.deploy("1", ["--at-boot", "--state-dir", ByteString(open)])
        #expect(outcome.errors.contains("others own it or may write it"), "\(outcome.errors)")
        let boot = try stage.launch(["boot", "--state-dir", ByteString(open)]).end()
        #expect(boot.exit == 111 && boot.errors.contains("others own it or may write it"), "\(boot.errors)")
    }

    /// The shipped unit, with the usual folders.
    @Test func unit() throws {
        let unit = try document("examples/systemd/reuseport-exec-boot.service")
        let lines = try underSystemd(
            """
            exec 2>&1
            mkdir -p /usr/local/bin /usr/local/lib/systemd/system
            cp "$launcher" /usr/local/bin/
            cat >/usr/local/lib/systemd/system/reuseport-exec-boot.service <<'END'
            \(unit)
            END
            systemctl daemon-reload
            systemctl enable --quiet reuseport-exec-boot
            cat >/tmp/app.py <<'END'
            import os, socket
            listener = socket.socket(fileno=3)
            while True:
                client = listener.accept()[0]
                client.sendall(os.environ["COLOR"].encode())
                client.close()
            END
            export COLOR=blue
            reuseport-exec deploy web --at-boot --socket http:127.0.0.1:8080 --quiet -- python3 /tmp/app.py
            reuseport-exec terminate web --quiet
            rm -r /run/reuseport-exec
            unset COLOR
            systemctl start reuseport-exec-boot
            systemctl is-active reuseport-exec-boot
            python3 -c '
            import socket
            print(socket.create_connection(("127.0.0.1", 8080)).recv(9).decode())'
            systemctl restart reuseport-exec-boot
            reuseport-exec count web
            reuseport-exec terminate web --quiet
            """)
        #expect(lines.suffix(3) == ["active", "blue", "1"], "\(lines)")
    }
}

/// `export` prints a configuration file that says the same.
@Suite struct ExportTests {
    private func exported(_ stage: Stage) throws -> (path: ByteString, text: String) {
        let outcome = try stage.verb("export", ["web"])
        #expect(outcome.exit == 0, "\(outcome.errors)")
        return (ByteString(stage.box.write("web.conf", outcome.output.text)), outcome.output.text)
    }

    /// A plan as JSON, without what differs by where the options stand.
    private func plan(_ stage: Stage, _ words: [ByteString]) throws -> String {
        let outcome = try stage.launch(["deploy", "--dry-run", "--json"] + words).end()
        #expect(outcome.exit == 0, "\(outcome.errors)")
        return outcome.output.text
    }

    @Test func saysTheSame() throws {
        let stage = try Stage(.ordinary)
        let options: [ByteString] = [
            "--env", "TITLE=it's a 'b' \\ c", "--no-new-privs", "--stop-timeout", "7s", "--file",
            "note:\(stage.home)/notes:a,create",
        ]
        try stage.deploy("1", copies: 2, options, command: try stage.sampleServer("1") + ["--title", "a 'b' \"c\""])
        let (path, text) = try exported(stage)
        #expect(text.contains("\nno-new-privs:\n") && text.contains("\ncopies: 2\n"), "\(text)")
        #expect(try plan(stage, ["--config", path]) == plan(stage, ["web", "--run-dir", stage.runDirectory]))
    }

    /// The settings of a file and those of the command line, which won.
    @Test func fileAndLine() throws {
        let stage = try Stage(.ordinary)
        let command = quoted(try stage.sampleServer("1"))
        let file = stage.box.write(
            "app.conf",
            "app: web\nsocket: \(stage.socket.text)\nstop-timeout: 9s\nenv: A=1\nlog: /dev/null\ncommand: \(command)\n")
        let line: [ByteString] = ["deploy", "--config", ByteString(file), "--run-dir", stage.runDirectory]
        try stage.launch(line + ["--stop-timeout", "5s", "--env", "B=2"]).endWell()
        let (path, text) = try exported(stage)
        #expect(!text.contains("9s") && text.contains("stop-timeout: 5s\n") && !text.contains("config"), "\(text)")
        #expect(try plan(stage, ["--config", path]) == plan(stage, ["web", "--run-dir", stage.runDirectory]))
    }

    /// The file names no app, which is called like it, and has all that `state` shows.
    @Test func fileWithoutAName() throws {
        let stage = try Stage(.ordinary)
        let command = quoted(try stage.sampleServer("1"))
        let folder = stage.box.makeDirectory("conf")
        let file = "\(folder)/web.conf"
        stage.box.write("conf/web.conf", "socket: \(stage.socket.text)\nlog: /dev/null\ncommand: \(command)\n")
        try stage.launch(["deploy", "--config", ByteString(file), "--run-dir", stage.runDirectory]).endWell()
        #expect(try exported(stage).text.contains("\napp: web\n"))
        #expect(try stage.verb("state", ["web"]).output.text.contains(#/log +\/dev\/null\n/#))
    }

    @Test func whatAFileCannotSay() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1", ["--env", "A=1\n2"])
        let outcome = try stage.verb("export", ["web"])
        #expect(outcome.exit == 1 && outcome.errors.contains("export env: its value has"), "\(outcome.errors)")
    }
}
