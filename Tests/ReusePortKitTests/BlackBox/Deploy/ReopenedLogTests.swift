import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// Programs that open their log by name, as /dev/stderr, when they are an ordinary user already.
@Suite struct ReopenedLogTests {
    private func nginx(_ stage: Stage) throws -> (options: [ByteString], command: [ByteString]) {
        let folder = stage.box.makeDirectory("nginx", owner: 65534)
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map { "\($0)_temp_path \(folder)/\($0);" }
        let file = stage.box.write(
            "nginx.conf",
            """
            daemon off; pid \(folder)/pid; error_log /dev/stderr notice; events {}
            http { access_log /dev/stdout; \(temporary.joined(separator: " "))
            server { listen 127.0.0.1:\(stage.port); return 200 "it is nginx\\n"; } }
            """)
        return (["--pass", "nginx"], [ByteString(try Tool.require("nginx")), "-c", ByteString(file)])
    }

    /// A file, and a pipe to logger(1).
    @Test(arguments: ["file", "syslog"]) func deployed(kind: String) throws {
        let stage = try Stage(.privileged)
        let (options, command) = try nginx(stage)
        if kind == "syslog" {
            _ = try Tool.require("logger")
            // The journal gives no pipe but a socket, and nobody can open that by name.
            if access("/run/systemd/journal/stdout", F_OK) == 0 { return }
        }
        try stage.deploy("1", options + (kind == "file" ? [] : ["--log", "syslog"]), command: command)
        #expect(try stage.ask().contains("it is nginx"))
        guard kind == "file" else { return }
        try waitUntil("the request is logged") { stage.log.contains("\"GET / HTTP/1.1\" 200") }
        // Nobody else may do it, and the user nothing else: not read it, own it, or give it another name.
        let info = try #require(stage.box.status(stage.logPath))
        #expect(info.st_uid == 0 && info.st_mode & 0o7 == 0)
        func may(_ user: uid_t, _ script: String) throws -> Bool {
            try stage.box.start(
                program: "/bin/sh", ["-c", ByteString(script)], [.user(user, user)]
            ).end().exit == 0
        }
        let log = stage.logPath
        #expect(try may(65534, ": >> \(log)"))
        #expect(try !may(65534, "cat \(log)"))
        #expect(try !may(65534, "chmod 666 \(log)"))
        #expect(try !may(65533, ": >> \(log)"))
    }

    /// A log that has something in it may be somebody else's.
    @Test func othersStay() throws {
        let stage = try Stage(.privileged)
        stage.box.write(stage.logPath, Array("before\n".utf8), mode: 0o600)
        let (options, command) = try nginx(stage)
        let outcome = try stage.deploy("1", options, command: command, expect: 1)
        #expect(outcome.errors.contains("/dev/stderr"), "\(outcome.errors)")
        #expect(try #require(stage.box.status(stage.logPath)).st_mode & 0o777 == 0o600)
    }

    @Test(arguments: SupervisorKind.allCases) func supervised(kind: SupervisorKind) throws {
        let stage = try Stage(.privileged)
        let services = try Services(stage, kind)
        let (options, command) = try nginx(stage)
        try stage.deploy("1", options + services.deployOptions, command: command)
        #expect(try stage.ask().contains("it is nginx"))
        try waitUntil("the request is logged") {
            let current = FileManager.default.contents(atPath: "\(stage.home)/logs/1-0/current")
            return current.map { String(decoding: $0, as: UTF8.self).contains("\"GET / HTTP/1.1\" 200") } ?? false
        }
        try stage.change(["terminate", "web"])
    }
}
