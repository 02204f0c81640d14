import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// A thread of its own for a task that changes what belongs to its thread. As the task belongs to the test, what is
/// expected there counts for it.
private final class ThreadExecutor: TaskExecutor {
    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        Thread.detachNewThread { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

/// Units as deploy writes them. No systemd runs here: `systemctl.py` stands in for it, in mounts of the test's own.
@Suite struct SystemdUnitTests {
    /// Runs in a thread whose /run is empty and whose systemctl is the stand-in; the machine's own are not touched.
    private func withStandIn(_ stage: Stage, _ body: @escaping @Sendable () throws -> Void) async throws {
        try Tool.requireRoot()
        let systemctl = try Tool.require("systemctl")
        let wrapper = stage.box.write(
            "systemctl",
            """
            #!/bin/sh
            TEST_STAGE=\(stage.box.path)
            export TEST_STAGE
            exec \(try Tool.require("python3")) -S -E \(try stage.box.target("systemctl.py")) "$@"

            """, mode: 0o755)
        defer {
            stage.endDeployed()
            removeGroups(stage)
        }
        try await Task(executorPreference: ThreadExecutor()) {
            func mount(_ source: String, _ target: String, _ type: String, _ flags: Int) throws {
                let result = source.withCString { source in
                    target.withCString { target in
                        type.withCString { type in
                            clinux_syscall(
                                Int(SYS_mount), Int(bitPattern: source), Int(bitPattern: target), Int(bitPattern: type),
                                flags, 0, 0)
                        }
                    }
                }
                guard result == 0 else {
                    throw Unavailable(description: "mount \(target): \(Errno.current.description)")
                }
            }
            let (newNamespace, bind, recursive, isPrivate) = (0x20000, 4096, 16384, 1 << 18)
            guard clinux_syscall(Int(SYS_unshare), newNamespace, 0, 0, 0, 0, 0) == 0 else {
                throw Unavailable(description: "unshare: \(Errno.current.description)")
            }
            try mount("none", "/", "", recursive | isPrivate)
            try mount("none", "/run", "tmpfs", 0)
            try mount(wrapper, systemctl, "", bind)
            for path in ["/run/systemd", "/run/systemd/system"] { mkdir(path, 0o755) }
            // Only this thread's, since it has unshared what belongs to the file system.
            umask(0o077)
            try body()
        }.value
    }

    /// The control groups of the stand-in's units, which are empty by now.
    private func removeGroups(_ stage: Stage) {
        for root in ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup"] {
            let folder = "\(root)/stand-in.\((stage.box.path as NSString).lastPathComponent)"
            for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
                _ = try? waitUntil("\(name) is removed") { rmdir("\(folder)/\(name)") == 0 || errno != EBUSY }
            }
            rmdir(folder)
        }
    }

    @Test func lifeAndDeath() async throws {
        let stage = try Stage(.privileged)
        nonisolated(unsafe) let shared = stage
        try await withStandIn(stage) {
            let stage = shared
            func service(_ label: String, command: [ByteString]? = nil) throws -> Service {
                var words: [ByteString] = [ByteString(try stage.box.launcher()), "--app", "web", "--generation"]
                words += [ByteString(label), "--run-dir", stage.runDirectory] + stage.common
                words += try ["--"] + (command ?? stage.sampleServer(label))
                let service = Service(
                    app: "web", label: ByteString(label), copy: 0, command: words,
                    workingDirectory: ByteString(stage.home))
                service.runDirectory = stage.runDirectory
                service.onExit = "echo \"$REUSEPORT_EXEC_REASON\" >> '\(ByteString(stage.home))/100% $exits'"
                return service
            }
            func start(_ service: Service) throws {
                try writeService(service, on: .systemd)
                try startServices([service], on: .systemd)
                try waitUntil("\(service.label.text) serves") {
                    try stage.copy(service.label.text)?.state == "live"
                }
            }
            func units() throws -> [String] {
                try FileManager.default.contentsOfDirectory(atPath: "/run/systemd/system").sorted()
            }
            let (blue, green) = (try service("blue"), try service("green"))
            try start(blue)
            #expect(try units() == ["reuseport-exec-web-blue-0.service"])
            var facts = stat()
            stat("/run/systemd/system/reuseport-exec-web-blue-0.service", &facts)
            #expect(facts.st_mode & 0o7777 == 0o644)
            try waitUntil("the manager knows") { isActive(blue.marker) }

            let first = try #require(try stage.copy("blue"))
            kill(pid_t(first.pid), SIGKILL)
            try waitUntil("blue is back") {
                try stage.copy("blue").map { $0.state == "live" && $0.pid != first.pid } ?? false
            }
            #expect(try #require(try stage.copy("blue")).crashes == 1)
            #expect(
                try String(contentsOfFile: "\(stage.home)/100% $exits", encoding: .utf8)
                    == "copy 0 of web blue: killed by signal 9 (KILL); it is started again after 1s\n")

            let load = try Load(stage)
            try start(green)
            try waitUntil("blue has ended") { !isActive(blue.marker) }
            let report = try load.stop()
            #expect(report.lost == 0, "\(report.summary)")
            #expect(report.labels == ["blue", "green"])

            // What runs stays, and what is not ours.
            let foreign = "/run/systemd/system/reuseport-exec-web-foreign-0.service"
            stage.box.write(foreign, Array("[Service]\nExecStart=/bin/true\n".utf8), mode: 0o644)
            #expect(throws: Failure.self) { try writeService(try service("foreign"), on: .systemd) }
            #expect(try supervisedCopies(app: "web", on: .systemd).map { $0.label } == ["blue", "green"])
            try removeServices(app: "web", on: .systemd) { _, _ in true }
            #expect(
                try units() == ["reuseport-exec-web-foreign-0.service", "reuseport-exec-web-green-0.service"])
            let pid = try #require(try stage.copy("green")).pid
            try takeDown([green], on: .systemd)
            #expect(try units() == ["reuseport-exec-web-foreign-0.service"])
            #expect(!FileManager.default.fileExists(atPath: "/proc/\(pid)"))
            try takeDown([green], on: .systemd)
        }
    }

    /// The whole way of the release binary.
    @Test func deployed() async throws {
        let stage = try Stage(.privileged)
        nonisolated(unsafe) let shared = stage
        try await withStandIn(stage) {
            let stage = shared
            func units() throws -> [String] {
                try FileManager.default.contentsOfDirectory(atPath: "/run/systemd/system").sorted()
            }
            let options: [ByteString] = ["--on", "systemd", "--memory-max", "512M"]
            func deploy(_ label: String, _ command: [ByteString]? = nil, expect: Int32 = 0) throws -> Outcome {
                try stage.deploy(label, copies: 2, options, command: command, expect: expect)
            }
            _ = try deploy("1")
            let names = ["reuseport-exec-web-1-0.service", "reuseport-exec-web-1-1.service"]
            #expect(try units() == names)
            let unit = try String(contentsOfFile: "/run/systemd/system/\(names[0])", encoding: .utf8)
            #expect(unit.contains("\nMemoryMax=536870912\n") && !unit.contains("--memory-max"))
            let load = try Load(stage)
            _ = try deploy("2")
            try waitUntil("the units of 1 are removed") {
                try stage.verb("list").exit == 0 && !units().contains(names[0])
                    || stage.box.run(["scale", "web", "2", "--run-dir", stage.runDirectory], stage.asDeployer).exit != 0
            }
            let failed = try deploy("3", ["/bin/sh", "-c", "exit 3"], expect: 1)
            #expect(failed.errors.contains("exited with 3"), "\(failed.errors)")
            let report = try load.stop()
            #expect(report.lost == 0, "\(report.summary)")
            #expect(try stage.verb("terminate", ["web"]).exit == 0)
            try waitUntil("no unit is left") {
                _ = try stage.verb("list")
                return try units().filter { $0.hasSuffix(".service") }.isEmpty
            }
        }
    }

    /// Whatever way a copy has ended, systemd starts it again, and `finish` knows that; but not what is to stay down.
    @Test func restarted() async throws {
        let stage = try Stage(.privileged)
        nonisolated(unsafe) let shared = stage
        try await withStandIn(stage) {
            let stage = shared
            let exits = "\(stage.home)/exits"
            let options: [ByteString] = [
                "--on", "systemd", "--permanent", "7", "--on-exit",
                ByteString("echo $REUSEPORT_EXEC_COPY $REUSEPORT_EXEC_KIND $REUSEPORT_EXEC_NEXT >>\(exits)"),
            ]
            try stage.deploy("1", copies: 2, options)
            let record = try String(contentsOfFile: "\(stage.runDirectory.text)/web/1-1", encoding: .utf8)
            guard record.contains("supervisor=systemd:reuseport-exec-web-1-1.service") else {
                throw Unavailable(description: "no control groups can be made: \(record)")
            }
            let first = try stage.pids()
            try stage.change(["restart", "web"])
            let second = try stage.pids()
            #expect(second.count == 2 && Set(second).isDisjoint(with: first))
            try stage.change(["restart", "web", "--copy", "1"])
            let third = try stage.pids()
            #expect(third.count == 2 && third[0] == second[0] && third[1] != second[1])
            // It ends with 0, by itself.
            kill(third[0], SIGTERM)
            try waitUntil("copy 0 is back") {
                let now = try stage.live()
                return now.map(\.state) == ["live", "live"] && now[0].pid != third[0]
            }
            func lines() throws -> [String] {
                try String(contentsOfFile: exits, encoding: .utf8).split(separator: "\n").map(String.init).sorted()
            }
            #expect(
                try lines() == ["0 normal restart", "0 normal restart", "1 normal restart", "1 normal restart"])
            #expect(try stage.copies().allSatisfy { $0.crashes == 0 })
            #expect(try stage.verb("terminate", ["web"]).exit == 0)
            #expect(try lines().suffix(2) == ["1 normal restart", "1 normal restart"] && lines().count == 6)
            #expect(try lines().filter { $0.hasSuffix("down") } == ["0 normal down", "1 normal down"])
            #expect(try stage.live().isEmpty)
        }
    }

    /// systemd is the first to tell a copy to stop: by the same signal.
    @Test func stopSignal() async throws {
        let stage = try Stage(.privileged)
        nonisolated(unsafe) let shared = stage
        try await withStandIn(stage) {
            let stage = shared
            let told = "\(stage.box.makeDirectory("told", mode: 0o777))/told"
            let script = """
                import os, signal, socket, sys
                def stop(number, frame):
                    print(signal.Signals(number).name, file=open(sys.argv[1], 'a'), flush=True)
                    os._exit(0)
                for number in signal.SIGTERM, signal.SIGQUIT:
                    signal.signal(number, stop)
                server = socket.socket(fileno=3)
                while True:
                    server.accept()[0].close()
                """
            let command: [ByteString] = [
                ByteString(try Tool.require("python3")), "-S", "-E", "-c", ByteString(script), ByteString(told),
            ]
            try stage.deploy("1", ["--on", "systemd", "--stop-signal", "QUIT"], command: command)
            #expect(try stage.verb("terminate", ["web"]).exit == 0)
            #expect(try String(contentsOfFile: told, encoding: .utf8) == "SIGQUIT\n")
        }
    }

    /// One that ends nothing is for programs that are told by a message; what never serves is ended all the same.
    @Test func stopSignalThatEndsNothing() async throws {
        let stage = try Stage(.privileged)
        nonisolated(unsafe) let shared = stage
        try await withStandIn(stage) {
            let stage = shared
            let deploy = try stage.deploy(
                "1", ["--on", "systemd", "--stop-signal", "CONT", "--ready-timeout", "500ms"],
                command: ["/bin/sleep", "1000"], expect: 1)
            #expect(deploy.errors.contains("not ready after"), "\(deploy.errors)")
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: "/run/systemd/system")
                    .filter { $0.hasSuffix(".service") }.isEmpty)
            try stage.expectOnly([])
        }
    }

    /// The template of examples/, at the path that it names.
    @Test func example() async throws {
        let stage = try Stage(.privileged)
        let analyze = try Tool.require("systemd-analyze")
        nonisolated(unsafe) let shared = stage
        let binary = try stage.box.launcher()
        try await withStandIn(stage) {
            let stage = shared
            func verify(_ flaw: String) throws -> [Substring] {
                // systemd-analyze looks whether the programs are there.
                let script = """
                    mount -t tmpfs none /usr/local/bin && cp \(binary) /usr/local/bin/reuseport-exec &&
                    cp \(Tool.package)/examples/systemd/web@.service /run/systemd/system/ &&
                    echo '\(flaw)' >>/run/systemd/system/web@.service && exec \(analyze) verify web@blue.service
                    """
                let outcome = try stage.box.start(
                    program: try Tool.require("unshare"), ["-m", "/bin/sh", "-c", ByteString(script)]
                ).end()
                return complaints(about: "web@", outcome.errors)
            }
            let said = (asItIs: try verify(""), withAFlaw: try verify("NoSuchSetting=1"))
            #expect(said.asItIs == [])
            #expect(said.withAFlaw != [])
        }
    }
}
