import Foundation
import Testing

@testable import ReusePortKit

/// `--dry-run` says what would be done, and does none of it.
@Suite struct DryRunTests {
    let box = Sandbox()

    private func options(_ port: UInt16) -> [ByteString] {
        [
            "--socket", "http:127.0.0.1:\(port),backlog=7,nodelay", "--socket", "u:unix:\(box["u.sock"]),mode=660",
            "--file", "log:\(box["log"]):a,create", "--umask", "027", "--env", "A={fd:log} x", "--pass",
            "systemd,niagra",
            "--no-new-privs", "--chdir", "/",
        ]
    }

    @Test func text() throws {
        let port = try freePort()
        let outcome = try box.run(["--dry-run"] + options(port) + ["/no/such/program", "it's", "{port:http}", "a\nb"])
        #expect(outcome.errors == "")
        #expect(outcome.exit == 0)
        let text = outcome.output.text
        for part in [
            "http to 127.0.0.1:\(port)", "backlog 7", "nodelay", "u to unix:\(box["u.sock"])", "mode 0660",
            "descriptor 3",
            "descriptor 4", "descriptor 5", "log at \(box["log"])", "a,create", "027", "no_new_privs", "A=5 x",
            "systemd,niagra", "/no/such/program", "\(port)", "--fd http,3",
        ] {
            #expect(text.contains(part), "\(part) in \(text)")
        }
        // One step, one line, whatever the names are made of.
        #expect(text.contains("a\\nb"))
        #expect(text.hasSuffix("\n"))
    }

    @Test func json() throws {
        let port = try freePort()
        let outcome = try box.run(
            ["--dry-run", "--json", "--keep-fd", "9"] + options(port) + [
                "/no/such/program", "it's \"ü\"\u{1}\n", "{port:http}",
            ])
        #expect(outcome.errors == "")
        #expect(outcome.exit == 0)
        let plan = try #require(
            try JSONSerialization.jsonObject(with: Data(outcome.output.bytes)) as? [String: Any])
        let sockets = try #require(plan["sockets"] as? [[String: Any]])
        #expect(sockets.map { $0["name"] as? String } == ["http", "u"])
        #expect(sockets.map { $0["descriptor"] as? Int } == [3, 4])
        #expect(sockets[0]["address"] as? String == "127.0.0.1:\(port)")
        #expect(sockets[0]["backlog"] as? Int == 7)
        #expect(sockets[1]["address"] as? String == "unix:\(box["u.sock"])")
        #expect(sockets[1]["mode"] as? String == "0660")
        let files = try #require(plan["files"] as? [[String: Any]])
        #expect(files[0]["path"] as? String == box["log"])
        #expect(files[0]["flags"] as? String == "a,create")
        #expect(plan["user"] is NSNull)
        #expect(plan["umask"] as? String == "027")
        #expect(plan["no_new_privs"] as? Bool == true)
        #expect(plan["pass"] as? [String] == ["systemd", "niagra"])
        #expect((plan["environment"] as? [String: String]) == ["A": "5 x"])
        #expect(
            plan["command"] as? [String]
                == [
                    "/no/such/program", "it's \"ü\"\u{1}\n", "\(port)", "--fd", "http,3", "--fd", "u,4", "--file",
                    "log,5",
                ])
    }

    @Test func resolvesUsers() throws {
        let entry = try #require(getpwnam("nobody")).pointee
        let outcome = try box.run(["--dry-run", "--json", "--user", "nobody", "--groups", "daemon,7", "x"])
        let plan = try #require(
            try JSONSerialization.jsonObject(with: Data(outcome.output.bytes)) as? [String: Any])
        #expect(plan["user"] as? UInt32 == entry.pw_uid)
        #expect(plan["group"] as? UInt32 == entry.pw_gid)
        #expect(plan["groups"] as? [UInt32] == [getgrnam("daemon").pointee.gr_gid, 7])
    }

    @Test func apps() throws {
        let port = try freePort()
        let directory = ByteString(box["run"])
        let options: [ByteString] = [
            "--app", "web", "--generation", "green", "--copies", "3", "--copy", "2", "--ready", "http:http:/health?a",
            "--ready-timeout", "1500ms", "--settle", "1s", "--drain", "30s", "--lock-timeout", "2m", "--steering",
            "cbpf", "--balance",
            "client-ip", "--stop-signal", "SIGQUIT", "--stop-timeout", "5s", "--keep-retired", "4", "--retired-nice",
            "-5", "--memory-high", "48M", "--memory-max", "64M", "--app-memory-max", "1G", "--run-dir", directory,
            "--notify-fd", "8", "--log-fd", "9", "--debug", "--socket",
            "http:127.0.0.1:\(port)",
        ]
        let outcome = try box.run(["--dry-run"] + options + ["x"])
        #expect(outcome.exit == 0, "\(outcome.errors)")
        let lines = outcome.output.text.components(separatedBy: "\n")
        for line in [
            "register    app web, generation green, copy 2 of 3, in \(box["run"])",
            "wait        for another handoff of the app, 2m at most", "steer       by cbpf, balance client-ip",
            "log         to descriptor 9, every change of state",
            "wait        for readiness by http:http:/health?a, 1500ms at most",
            "cut over    when all 3 copies are ready", "notify      descriptor 8",
            "settle      for 1s", "drain       until connections have ended, 30s at most",
            "retire      the old generation; 4 may finish",
            "limit       slow the copy down when its memory is more than 48M",
            "limit       the copy's memory to 64M", "limit       the memory of all copies together to 1G",
            "later       be stopped by QUIT, and KILL after 5s, nice -5",
        ] {
            #expect(lines.contains(line), "\(line) in \(lines)")
        }
        let json = try box.run(["--dry-run", "--json"] + options + ["x"])
        let plan = try #require(try JSONSerialization.jsonObject(with: Data(json.output.bytes)) as? [String: Any])
        let expected: [String: Any] = [
            "name": "web", "generation": "green", "copies": 3, "copy": 2, "steering": "cbpf", "balance": "client-ip",
            "ready": "http:http:/health?a", "ready_timeout_ms": 1500, "settle_ms": 1000, "drain_ms": 30_000,
            "lock_timeout_ms": 120_000,
            "stop_messages": [Any](), "stop_signal": "QUIT", "stop_timeout_ms": 5000, "keep_retired": 4,
            "retired_nice": -5,
            "memory_high": 48 << 20, "memory_max": 64 << 20, "app_memory_max": 1 << 30,
            "run_directory": box["run"], "notify_descriptor": 8, "log_descriptor": 9, "log": "every change of state",
        ]
        #expect(NSDictionary(dictionary: expected).isEqual(plan["app"]), "\(json.output.text)")
        #expect(!box.exists("run"))
    }

    @Test func defaultsOfApps() throws {
        let port = try freePort()
        let words: [ByteString] = ["--dry-run", "--json", "--socket", "http:127.0.0.1:\(port)"]
        let outcome = try box.run(words + ["--app", "web", "--run-dir", ByteString(box["run"]), "x"])
        let plan = try #require(
            try JSONSerialization.jsonObject(with: Data(outcome.output.bytes)) as? [String: Any])
        let expected: [String: Any] = [
            "name": "web", "generation": NSNull(), "copies": 1, "copy": 0, "steering": "auto", "balance": "random",
            "ready": "accept", "ready_timeout_ms": 60_000, "settle_ms": 200, "drain_ms": 0, "lock_timeout_ms": 60_000,
            "stop_messages": [Any](), "stop_signal": "TERM", "stop_timeout_ms": 30_000, "keep_retired": 3,
            "retired_nice": NSNull(),
            "memory_high": NSNull(), "memory_max": NSNull(), "app_memory_max": NSNull(),
            "run_directory": box["run"], "notify_descriptor": NSNull(), "log_descriptor": 2, "log": "each step",
        ]
        #expect(NSDictionary(dictionary: expected).isEqual(plan["app"]), "\(outcome.output.text)")
        let without = try box.run(words + ["x"])
        #expect(without.output.text.contains("\"app\":null"))
    }

    /// JSON has no bytes that are not UTF-8: they are shown somehow, and the whole can still be read.
    @Test func jsonOfBytes() throws {
        let raw = ByteString([0x61, 0xFF, 0x80, 0xED, 0xA0, 0x80, 0x62])
        let outcome = try box.run(["--dry-run", "--json", "--env", "X=\(raw)", "x", raw])
        #expect(outcome.exit == 0)
        let plan = try #require(
            try JSONSerialization.jsonObject(with: Data(outcome.output.bytes)) as? [String: Any])
        let command = try #require(plan["command"] as? [String])
        #expect(command[1].hasPrefix("a") && command[1].hasSuffix("b"))
    }

    @Test func touchesNothing() throws {
        let strace = try Tool.require("strace")
        let port = try freePort()
        let trace = box["trace"]
        let launcher = try box.launcher()
        for json in [[], ["--json"]] as [[ByteString]] {
            let process = try box.start(
                program: strace,
                ["-f", "-o", ByteString(trace), ByteString(launcher), "--dry-run"] + json + options(port) + [
                    "/bin/echo", "ran",
                ])
            let outcome = try process.end()
            #expect(outcome.exit == 0, "\(outcome.errors)")
            let calls = try String(contentsOfFile: trace, encoding: .utf8)
            #expect(calls.contains("execve("))
            // The name service may ask its daemon through a socket of its own, which is connected and never bound.
            for call in [
                "bind(", "listen(", "setsockopt(", "O_CREAT", "ftruncate(", "setresuid(", "setgroups(", "chroot(",
                "chdir(",
            ] {
                #expect(!calls.contains(call), "\(call)")
            }
            #expect(calls.components(separatedBy: "execve(").count == 2)
        }
        #expect(!box.exists("u.sock"))
        #expect(!box.exists("log"))
    }

    /// A mistake is a mistake here too.
    @Test func mistakes() throws {
        expectFailure(
            try box.run(["--dry-run", "--user", "no-such-user-here", "x"]), 100, "find user no-such-user-here: …")
        expectFailure(
            try box.run(["--dry-run", "--socket", "a:127.0.0.1:0", "--socket", "b:127.0.0.1:0", "--pass", "inetd", "x"]
            ), 100,
            "…inetd…")
    }

    @Test func fullOutput() throws {
        for options in [["--dry-run", "x"], ["--help"], ["--version"]] as [[ByteString]] {
            expectFailure(
                try box.run(options, [.open(1, "/dev/full")]), 111, "write to standard output: no space left on device")
        }
    }
}
