import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// `{copy}` in the paths of Unix sockets: a proxy's clients notice nothing of what is done to its upstreams.
@Suite struct UnixCopiesTests {
    // MARK: - Losses

    /// nginx tries no second upstream. Meanwhile no socket has another mode or group than it is to have.
    @Test func behindNginx() throws {
        let app = try UnixCopies()
        try app.deploy("1")
        try app.startProxy((0..<3).map(app.path), "proxy_next_upstream off;")
        let load = try Load(app.stage)
        let group = getgrnam("www-data").pointee.gr_gid
        for number in 2...12 {
            let deploy = try app.stage.startDeploy(
                "\(number)", copies: 3, app.options, command: try app.program("\(number)"))
            var wrong: [String] = []
            let deadline = Deadline(after: patience)
            while state(of: deploy.pid) != "Z" && !deadline.hasPassed {
                for name in app.names {
                    guard let facts = app.stage.box.status("\(app.folder)/\(name)") else { continue }
                    if facts.st_mode != S_IFSOCK | 0o660 || facts.st_gid != group { wrong.append(name) }
                }
                usleep(500)
            }
            let outcome = try deploy.end()
            #expect(outcome.exit == 0, "\(outcome.errors)")
            #expect(wrong.isEmpty)
            try app.expectServed("\(number)")
        }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.labels == Set((1...12).map(String.init)))
        #expect(app.strays.isEmpty && app.names.count == 6)
        #expect(try app.stage.verb("terminate", ["web"]).exit == 0)
        #expect(app.names == [])
    }

    /// Servers that remove and bind their paths themselves lose what the launcher's keep.
    @Test func withoutHelp() throws {
        let app = try UnixCopies()
        chmod(app.folder, 0o2777)
        func start(_ copy: Int, _ label: String) throws -> Running {
            let process = try app.stage.box.start(
                program: try Tool.require("node"),
                [ByteString(try app.stage.box.target("unix_self.js")), ByteString(app.path(copy)), ByteString(label)])
            try process.waitFor("ready")
            return process
        }
        var running = try (0..<3).map { try start($0, "0") }
        try app.startProxy((0..<3).map(app.path), "proxy_next_upstream off;")
        let load = try Load(app.stage)
        for number in 1...10 {
            for copy in 0..<3 {
                let new = try start(copy, "\(number)")
                running[copy].signal(SIGTERM)
                _ = try running[copy].end()
                running[copy] = new
            }
        }
        let report = try load.stop()
        #expect(report.lost > 0, "\(report.summary)")
    }

    /// nginx knows all five paths, and goes on to the next where there is none.
    @Test func scaled() throws {
        let app = try UnixCopies()
        try app.deploy("1")
        try app.startProxy((0..<5).map(app.path), "")
        let load = try Load(app.stage)
        for (count, names) in [(5, 0..<5), (2, 0..<2), (4, 0..<4), (1, 0..<1), (3, 0..<3)] {
            try app.stage.change(["scale", "web", ByteString(decimal: count)])
            #expect(app.publicNames == names.map { "\($0).sock" })
            #expect(app.strays.isEmpty && app.names.count == 2 * count)
            try app.expectServed("1", names)
        }
        try app.stage.change(["restart", "web", "--copy", "1"])
        try app.deploy("2", copies: nil)
        try app.deploy("3", copies: 5)
        try app.deploy("4", copies: 2)
        #expect(app.publicNames == ["0.sock", "1.sock"])
        try app.stage.change(["suspend", "web"])
        // They are told to wait, and run.
        #expect(try app.stage.live().count == 2 && !app.stage.live().contains { isStopped($0.pid) })
        try app.stage.change(["resume", "web"])
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(app.strays.isEmpty)
        let state = try app.stage.verb("state", ["web"])
        #expect(state.output.text.contains(app.path(1)), "\(state.output.text)")
    }

    /// Services that deploy writes, of a supervisor that starts them again.
    @Test(arguments: SupervisorKind.allCases)
    func supervised(kind: SupervisorKind) throws {
        let app = try UnixCopies()
        let services = try Services(app.stage, kind)
        let on = services.deployOptions
        try app.deploy("1", on)
        try app.startProxy((0..<3).map(app.path), "proxy_next_upstream off;")
        let load = try Load(app.stage)
        for number in 2...4 {
            try app.deploy("\(number)", on)
            try app.expectServed("\(number)")
        }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        let old = try app.stage.pid(1)
        kill(old, SIGKILL)
        try waitUntil("copy 1 is back") {
            try app.stage.live().contains { $0.copy == 1 && $0.pid != old && $0.state == "live" }
        }
        try app.expectServed("4")
        try app.stage.change(["scale", "web", "4"])
        try app.expectServed("4", 0..<4)
        #expect(app.strays.isEmpty && app.names.count == 8, "\(app.names)")
        #expect(try app.stage.verb("terminate", ["web"]).exit == 0)
        try waitUntil("nothing is left") { app.names == [] }
    }

    // MARK: - Programs that remove paths

    /// The public path as well, after the deploy has ended: it is put back, for as long as the program runs.
    @Test func removedAtTheEnd() throws {
        let app = try UnixCopies(ownedByProgram: true)
        let removes = ["\(app.folder)/{worker}.sock"]
        try app.deploy("1", removes: removes)
        for number in 2...5 { try app.deploy("\(number)", delay: number < 4 ? 0 : 700, removes: removes) }
        try waitUntil("only the last one runs") {
            try app.stage.generations().allSatisfy { $0.generation == "5" || $0.running.isEmpty }
        }
        try app.stage.expectOnly(try app.stage.pids())
        try app.expectServed("5")
        #expect(app.strays.isEmpty && app.names.count == 6, "\(app.names)")
        let last = unique("6")
        try app.deploy(last)
        // Those of 5 remove what is at their paths when they end, and until then it is put back.
        try app.stage.expectOnly(try app.stage.pids())
        try waitUntil("nobody puts paths back") { keeper(of: last) == nil }
        // What others have removed is found by the next invocation, and what they have put there is left alone.
        unlink(app.path(0))
        unlink(app.path(1))
        let stranger = try Endpoint.bound(.unix(app.path(1)))
        try app.stage.change(["scale", "web", "3"])
        #expect(try app.ask(0).contains("label: \(last)\n"))
        let theirs = try #require(app.stage.box.status(app.path(1)))
        #expect(try app.stage.verb("terminate", ["web"]).exit == 0)
        #expect(app.stage.box.status(app.path(1))?.st_ino == theirs.st_ino)
        #expect(app.names == ["1.sock"])
        withExtendedLifetime(stranger) {}
    }

    /// Who puts paths back ends with the old copies, even if the registry has gone by then.
    @Test func registryRemoved() throws {
        let app = try UnixCopies(ownedByProgram: true)
        let label = unique("2")
        try app.deploy("1", copies: 1, ["--stop-timeout", "1h"], delay: 3_600_000)
        try app.deploy(label, copies: 1)
        try waitUntil("the helper is seen") { keeper(of: label) != nil }
        let old = try #require(try app.stage.generation("1")?.copies.first?.pid)
        unlink(app.path(0))
        try waitUntil("the path is back") { app.publicNames == ["0.sock"] }
        try FileManager.default.removeItem(atPath: app.stage.runDirectory.text + "/web")
        unlink(app.path(0))
        kill(old, SIGKILL)
        try waitUntil("the helper has gone") { keeper(of: label) == nil }
    }

    /// A path that the next generation does not have goes with the one that had it.
    @Test func otherPaths() throws {
        let app = try UnixCopies()
        try app.deploy("1")
        app.stage.otherSocket = "http:unix:\(app.folder)/all.sock,mode=660"
        try app.deploy("2", copies: 1)
        #expect(app.publicNames == ["all.sock"] && app.strays.isEmpty, "\(app.names)")
        app.stage.otherSocket = "http:unix:\(app.folder)/{copy}.sock,mode=660"
        try app.deploy("3")
        #expect(app.publicNames == ["0.sock", "1.sock", "2.sock"] && app.strays.isEmpty, "\(app.names)")
        try app.expectServed("3")
    }

    // MARK: - Killed

    /// Killed at any moment, of which some are in the middle of the cutover: somebody serves, and the next deploy
    /// finds its way and leaves nothing.
    @Test func killed() throws {
        let app = try UnixCopies()
        try app.deploy("0")
        try app.startProxy((0..<3).map(app.path), "proxy_next_upstream off;")
        let load = try Load(app.stage)
        for number in 1...10 {
            let deploy = try app.stage.startDeploy(
                "\(number)", copies: 3, app.options, command: try app.program("\(number)"))
            try deploy.waitFor(["copy 0 is starting", "copy 2 is ready", "took over", "is told to stop"][number % 4])
            usleep(useconds_t(number * 100))
            deploy.signal(SIGKILL)
            _ = try deploy.end()
        }
        try app.deploy("last")
        try app.expectServed("last")
        #expect(app.strays.isEmpty && app.names.count == 6, "\(app.names)")
        try app.stage.expectOnly(try app.stage.pids())
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(try app.stage.verb("terminate", ["web"]).exit == 0)
        #expect(app.names == [])
    }

    /// A helper that is killed, and a copy that dies.
    @Test func helperKilled() throws {
        let app = try UnixCopies()
        func start(_ label: String, _ copy: Int, _ more: [ByteString] = []) throws -> Running {
            try app.stage.start(
                label, copies: 2, copy: copy, app.options + more, command: try app.program(label))
        }
        let old = try (0..<2).map { try start("a", $0) }
        #expect(try app.stage.wait(["--generation", "a"]).exit == 0)
        try app.expectServed("a", 0..<2)
        let label = unique("b")
        let stuck = try start(label, 0)
        try waitUntil("it is ready") { try app.stage.generation(label)?.copies.first?.state == "ready" }
        var found: pid_t?
        try waitUntil("its helper is seen") {
            found = helper(of: label)
            return found != nil
        }
        kill(try #require(found), SIGKILL)
        let new = try (0..<2).map { try start("c", $0) }
        #expect(try app.stage.wait(["--generation", "c"]).exit == 0)
        try app.expectServed("c", 0..<2)
        for process in old + [stuck] { _ = try process.end() }
        try waitUntil("its names have gone") { app.strays.isEmpty && app.names.count == 4 }
        new[1].kill()
        let again = try start("c", 1)
        #expect(try app.stage.wait(["--pid", ByteString(decimal: again.pid)]).exit == 0)
        try app.expectServed("c", 0..<2)
        #expect(app.strays.isEmpty && app.names.count == 4, "\(app.names)")
    }

    /// Other tests have helpers too.
    private func unique(_ label: String) -> String { "\(label)-\(getpid())-\(UInt32.random(in: 0...UInt32.max))" }

    private func keeper(of label: String) -> pid_t? {
        process(titled: "reuseport-exec: web \(label): puts back paths")
    }

    private func helper(of label: String) -> pid_t? { process(titled: "reuseport-exec: web \(label): ready") }

    private func process(titled title: String) -> pid_t? {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let pid = pid_t(name), let words = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline"),
                String(decoding: words, as: UTF8.self).hasPrefix(title)
            else { continue }
            return pid
        }
        return nil
    }

    // MARK: - Mistakes

    /// With a TCP socket and a Unix socket: what was taken away is noticed before anything is switched.
    @Test(arguments: [false, true])
    func nameTakenAway(isReplaced: Bool) throws {
        let stage = try Stage(.privileged)
        let path = "\(stage.home)/web.sock"
        let more: [ByteString] = [
            "--socket", "admin:unix:\(ByteString(path)),mode=666", "--ready", "http:http:/health",
        ]
        try stage.deploy("1", more)
        let load = try Load(stage)
        let deploy = try stage.startDeploy("2", more, variables: ["SAMPLE_BOOT_MS=1500"])
        try deploy.waitFor("is starting")
        let own = "\(stage.home)/.web.sock.\(deploy.pid)"
        #expect(stage.box.exists(own))
        unlink(own)
        let stranger = isReplaced ? try Endpoint.bound(.unix(own)) : nil
        let outcome = try deploy.end()
        #expect(
            outcome.exit == 1 && outcome.errors.contains("beside it was removed or replaced; generation 1 serves on"),
            "\(outcome.errors)")
        #expect(stage.box.exists(own) == isReplaced)
        withExtendedLifetime(stranger) {}
        #expect(try stage.ask().contains("label: 1"))
        let unix = try stage.ask(at: "unix:\(ByteString(path))")
        #expect(unix.contains("label: 1"), "\(unix)")
        let report = try load.stop()
        #expect(report.lost == 0 && report.labels == ["1"], "\(report.summary)")
    }

    @Test func refused() throws {
        let box = Sandbox()
        let long = "/" + String(repeating: "x", count: 83) + "-{copy}.sock"
        let cases: [(ByteString, [ByteString], String)] = [
            ("http:127.0.0.1:80{copy}", [], "{copy} is for the paths of unix sockets"),
            ("http:{copy}:80", [], "{copy} is for the paths of unix sockets"),
            ("udp:[::{copy}]:80", [], "{copy}"),
            ("http:unix:/run/{worker}.sock", [], "only {copy} is filled in in a path; for a literal brace write {{"),
            ("http:unix:/run/{.sock", [], "only {copy}"),
            ("http:unix:/run/web.sock", ["--copies", "2"], "write {copy} for the copy's number in it"),
            ("http:unix:\(long)", ["--copies", "1000"], "1000"),
            ("http:unix:/run/{{copy}.sock", ["--copies", "2"], "write {copy}"),
            // 94 bytes with one digit, 96 with three.
            ("http:unix:\(long)xxxx", ["--copies", "101"], "may have 95"),
        ]
        for (socket, options, says) in cases {
            let outcome = try box.run(
                ["deploy", "web", "--run-dir", "/nonexistent", "--socket", socket] + options + ["--", "true"])
            #expect(outcome.exit == 100 && outcome.errors.contains(says), "\(socket.text): \(outcome.errors)")
        }
        let twice = try box.run([
            "deploy", "web", "--run-dir", "/nonexistent", "--copies", "12", "--socket", "a:unix:/run/{copy}.sock",
            "--socket", "b:unix:/run/1{copy}.sock", "--", "true",
        ])
        #expect(twice.exit == 100 && twice.errors.contains("two copies"), "\(twice.errors)")
    }

    /// Without an app, and in the answer of --dry-run.
    @Test func filledIn() throws {
        let box = Sandbox()
        let words: [ByteString] = [
            "--copy", "7", "--socket", "http:unix:\(box["{{{copy}.sock"])", "--pass", "nodesockd,server-starter", "--",
            "/bin/sh", "-c", "echo $LISTEN_ON $SERVER_STARTER_PORT $NODESOCKD_WORKER_ID {path:http}",
        ]
        let outcome = try box.run(words)
        let path = box["{7.sock"]
        #expect(outcome.output.text == "\(path) \(path)=3 7 \(path)\n", "\(outcome)")
        let dry = try box.run(["--dry-run"] + words)
        #expect(dry.output.text.contains("bind        http to unix:\(path)"), "\(dry.output.text)")
        let deploy: [ByteString] = [
            "deploy", "web", "--dry-run", "--copies", "2", "--socket", "http:unix:/run/{copy}.sock", "--", "true",
        ]
        let shown = try box.run(deploy).output.text
        #expect(shown.contains("http to unix:/run/0.sock") && shown.contains("http to unix:/run/1.sock"), "\(shown)")
        let json = try box.run(deploy.prefix(3) + ["--json"] + deploy.dropFirst(3)).output.text
        let all = #""addresses":["unix:/run/0.sock","unix:/run/1.sock"]"#
        #expect(json.contains(all), "\(json)")
    }
}
