import Foundation
import Testing

@testable import ReusePortKit

/// What goes wrong around copies that others start.
extension SupervisedDeployTests {
    /// Nobody completes what was half written; it must not be in the way of the next deploy.
    @Test(arguments: SupervisorKind.allCases)
    func killedWhileWriting(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind)
        try stage.deploy("1", copies: 2, services.deployOptions)
        let load = try Load(stage)
        for label in ["2", nil] {
            let deploy = try stage.startDeploy(label, copies: 250, services.deployOptions)
            // However busy the machine is, whoever watches it is quicker.
            setpriority(Int32(PRIO_PROCESS.rawValue), id_t(deploy.pid), 19)
            try waitUntil("some are written") { try names(services).count >= 8 }
            deploy.kill()
            let written = try names(services).count - 2
            try #require(written < 250, "it was too quick")
            if kind == .runit {
                // runsvdir finds them by itself; s6-svscan with those of the next.
                try waitUntil("some are started") {
                    try stage.generations().contains { $0.state == "starting" && $0.running.count > 2 }
                }
            }
            try stage.deploy(nil, copies: 2, services.deployOptions, command: try stage.sampleServer("next"))
            let live = try #require(try stage.generations().last { $0.state == "live" }?.generation)
            try expectServices(services, ["web-\(live)-0", "web-\(live)-1"])
        }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
    }

    /// What was written takes over by itself, and is deployed by deploy all the same.
    @Test(arguments: SupervisorKind.allCases)
    func killedWhenAllIsWritten(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind)
        try stage.deploy("1", copies: 2, services.deployOptions)
        let deploy = try stage.startDeploy("2", copies: 2, services.deployOptions)
        try deploy.waitFor("services are written")
        deploy.kill()
        if kind == .s6 { s6Scan(services) }
        try waitUntil("they have taken over") { try stage.generation("2")?.state == "live" }
        try waitUntil("the old ones have gone") { try stage.generation("1")?.state == "ended" }
        try stage.change(["scale", "web", "3"])
        try stage.change(["migrate", "web", "--generation", "3"])
        try expectServices(services, (0..<3).map { "web-3-\($0)" })
    }

    /// Has s6-svscan look for new services, as deploy would have done in a moment.
    private func s6Scan(_ services: Services) {
        let pipe = open("\(services.folder)/.s6-svscan/control", O_WRONLY | O_NONBLOCK | O_CLOEXEC)
        _ = write(pipe, "a", 1)
        close(pipe)
    }

    /// What waits is taken by the new copies, and served later.
    @Test(arguments: SupervisorKind.allCases)
    func restartedWhileSuspended(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind)
        try stage.deploy("1", copies: 2, services.deployOptions + ["--suspended"])
        let clients = try stage.startClients(100)
        try waitUntil("all wait") { try stage.queued() == 100 }
        for words in [["restart", "web"], ["restart", "web", "--copy", "0"]] as [[ByteString]] {
            let before = try stage.pids()
            try stage.change(words)
            #expect(try stage.queued() == 100)
            #expect(try stage.pids().count == 2 && stage.pids() != before && stage.pids().allSatisfy(isStopped))
        }
        try stage.change(["resume", "web"])
        var report = Report()
        try report.add(try clients.end().output)
        #expect(report.lost == 0 && report.requests >= 100, "\(report.summary)")
    }

    /// A number that another generation has taken: what failed is not deployed again in its place.
    @Test(arguments: SupervisorKind.allCases)
    func failureAfterTheRegistryIsLost(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind)
        let old = try stage.handOver("1")[0]
        try FileManager.default.removeItem(atPath: "\(stage.runDirectory.text)/web")
        try stage.deploy("2", services.deployOptions, command: ["/bin/sh", "-c", "exit 7"], expect: 1)
        let outcome = try stage.change(["migrate", "web"], expect: 1)
        #expect(outcome.errors.contains("was not started by deploy"), "\(outcome.errors)")
        #expect(try stage.pids() == [old.pid])
        old.kill()
    }

    /// Its supervisor starts it again; the others are added meanwhile.
    @Test(arguments: SupervisorKind.allCases)
    func scaledWhileOneIsStartedAgain(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind)
        try stage.deploy("1", copies: 3, services.deployOptions)
        // The second crash within a short time is followed by a pause.
        for count in 1...2 {
            try waitUntil("all of them") { try stage.live().map(\.state) == ["live", "live", "live"] }
            kill(try stage.pid(1), SIGKILL)
            try waitUntil("its end") { try stage.copy("1", 1).map { $0.crashes >= count } ?? false }
        }
        try stage.change(["scale", "web", "4"])
        try waitUntil("all are there") { try stage.live().filter { $0.state == "live" }.map(\.copy) == [0, 1, 2, 3] }
        try expectServices(services, (0..<4).map { "web-1-\($0)" })
    }

    /// All that was written is there, and takes over by itself; who comes meanwhile waits for that.
    @Test(arguments: SupervisorKind.allCases)
    func deployedWhileOneIsOnItsWay(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind)
        try stage.deploy("1", services.deployOptions)
        let deploy = try stage.startDeploy("2", copies: 2, services.deployOptions + ["--env", "SAMPLE_BOOT_MS=6000"])
        try waitUntil("its copies are there") { try stage.generation("2")?.running.count == 2 }
        deploy.kill()
        let late = try stage.deploy("3", copies: 2, services.deployOptions + ["--lock-timeout", "1ms"], expect: 1)
        #expect(late.errors.contains("generation 2 is taking over"), "\(late.errors)")
        try stage.deploy("3", copies: 2, services.deployOptions)
        #expect(try stage.generation("2")?.state == "ended")
        try expectServices(services, ["web-3-0", "web-3-1"])
    }

    @Test(arguments: SupervisorKind.allCases)
    func copyCannotBeStopped(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind)
        try stage.deploy("1", copies: 2, services.deployOptions)
        let copy = try stage.pid(1)
        let supervisor = try #require(try? ProcessStatus(of: copy).parent)
        kill(supervisor, SIGSTOP)
        defer { kill(supervisor, SIGCONT) }
        let refused = try stage.change(["scale", "web", "1"], expect: 1)
        #expect(
            refused.errors.components(separatedBy: "is left running, or it would be started again").count == 3,
            "a warning and the reason: \(refused.errors)")
        #expect(refused.errors.contains("fatal: unable to stop app web: pid \(copy)"), "\(refused.errors)")
        kill(supervisor, SIGCONT)
        try stage.change(["scale", "web", "1"])
        #expect(try stage.live().map(\.copy) == [0])
        try expectServices(services, ["web-1-0"])
    }

    /// What was in a directory that has gone is gone as well.
    @Test func directoryHasGone() throws {
        let (stage, services) = try supervised(.s6)
        try stage.deploy("1", services.deployOptions)
        try stage.deploy("2")
        try expectServices(services, [])
        services.supervisor.kill()
        try waitUntil("it is removed") {
            try? FileManager.default.removeItem(atPath: services.folder)
            return access(services.folder, F_OK) != 0
        }
        for count in ["2", "1"] as [ByteString] {
            let outcome = try stage.change(["scale", "web", count])
            #expect(!outcome.errors.contains("warning"), "\(outcome.errors)")
        }
        for number in 3...9 { try stage.deploy("\(number)") }
        let known = try stage.generations().count
        let outcome = try stage.verb("terminate", ["web"])
        #expect(outcome.exit == 0 && !outcome.errors.contains("warning"), "\(outcome.errors)")
        let files = try FileManager.default.contentsOfDirectory(atPath: "\(stage.runDirectory.text)/web")
            .filter { $0.hasPrefix("deployment.") }
        #expect(files.count <= known && !files.contains("deployment.1"), "\(files)")
    }

    /// It does not interrupt, and does not stay where it is either.
    @Test func signalAfterTakeover() throws {
        let (stage, services) = try supervised(.s6)
        try stage.deploy("1", services.deployOptions + ["--env", "SAMPLE_IGNORE_TERM=1"])
        let old = try stage.pid()
        let deploy = try stage.startDeploy("2", services.deployOptions)
        try deploy.waitFor("took over")
        for signal in [SIGTERM, SIGINT, SIGHUP] { deploy.signal(signal) }
        try waitUntil("nothing is pending") {
            let status = try String(contentsOfFile: "/proc/\(deploy.pid)/status", encoding: .utf8)
            return status.contains("ShdPnd:\t0000000000000000\n")
        }
        kill(old, SIGKILL)
        let outcome = try deploy.end()
        #expect(outcome.exit == 0, "\(outcome.errors)")
    }

    /// Two of five: both are named, and what they have written is shown, not what others have.
    @Test(arguments: SupervisorKind.allCases)
    func someFail(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind)
        try stage.deploy("1", services.deployOptions)
        // Each ends when somebody opens its gate.
        let gates = stage.box.makeDirectory("gates", owner: 65534)
        let script = "trap '' TERM; mkfifo \(gates)/$$ && echo said by $$ && read x <\(gates)/$$; exit 3"
        let deploy = try stage.startDeploy(
            "bad", copies: 5, services.deployOptions + ["--stop-timeout", "1s"],
            command: ["/bin/sh", "-c", ByteString(script)])
        var pids: [pid_t] = []
        try waitUntil("its copies are there") {
            pids = try stage.generation("bad")?.running.sorted { $0.copy < $1.copy }.map(\.pid) ?? []
            return pids.count == 5
        }
        for pid in pids[3...] {
            try waitUntil("it waits at its gate") {
                let writer = open("\(gates)/\(pid)", O_WRONLY | O_NONBLOCK | O_CLOEXEC)
                close(writer)
                return writer >= 0
            }
        }
        let outcome = try deploy.end()
        #expect(outcome.exit == 1)
        #expect(outcome.errors.contains("copy 3, copy 4: exited with 3"), "\(outcome.errors)")
        for copy in 0..<5 {
            #expect(outcome.errors.contains("the output in web-bad-\(copy)") == (copy == 3), "\(outcome.errors)")
            #expect(outcome.errors.contains("said by \(pids[copy])") == (copy == 3), "\(outcome.errors)")
        }
        try expectServices(services, ["web-1-0"])
    }

    /// A program that has a code of its own for being told to stop has not crashed.
    @Test(arguments: SupervisorKind.allCases)
    func codeAfterRestart(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind)
        let script = """
            import os, signal, socket, sys
            signal.signal(15, lambda *_: os._exit(1))
            listener = socket.socket(fileno=int(sys.argv[1]))
            while True:
                client, _ = listener.accept()
                client.close()
            """
        try stage.deploy(
            "1", copies: 2, services.deployOptions,
            command: [ByteString(try Tool.require("python3")), "-S", "-E", "-c", ByteString(script), "{fd:http}"])
        for _ in 0..<3 {
            let before = try stage.pids()
            try stage.change(["restart", "web"])
            #expect(Set(try stage.pids()).isDisjoint(with: before))
            #expect(try stage.copies().allSatisfy { $0.crashes == 0 })
        }
        // Told by somebody else, it has.
        kill(try stage.pid(), SIGTERM)
        try waitUntil("it counts") { try stage.copies().contains { $0.crashes == 1 } }
    }
}
