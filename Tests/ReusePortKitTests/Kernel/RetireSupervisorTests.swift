import CLinux
import Foundation
import Testing

@testable import ReusePortKit

@Suite struct RetireSupervisorTests {
    let sandbox = Sandbox()

    @Test func text() throws {
        for (supervisor, text) in [
            (.runit("/etc/sv/web-blue"), "runit:/etc/sv/web-blue"), (.s6("/run/a:b"), "s6:/run/a:b"),
            (.systemd("web@1.service"), "systemd:web@1.service"),
            (.userSystemd("web.service"), "systemd-user:web.service"),
        ] as [(Supervisor, ByteString)] {
            #expect(supervisor.description == text)
            #expect(Supervisor(parsing: text) == supervisor)
        }
        // A literal cannot hold a zero byte.
        let cut = ByteString(Array("s6:/a\0b".utf8))
        for text in ["", "runit", "runit:", "runit:sv/web", "s6:", "upstart:web", "systemd:", cut] as [ByteString] {
            #expect(Supervisor(parsing: text) == nil, "\(text.text)")
        }
    }

    @Test func controlGroups() {
        func unit(_ text: ByteString) -> Supervisor? { Supervisor(controlGroups: text) }
        #expect(unit("0::/system.slice/web.service\n") == .systemd("web.service"))
        #expect(unit("0::/system.slice/system-web.slice/web@1.service/sub\n") == .systemd("web@1.service"))
        #expect(unit("4:memory:/x.service\n1:name=systemd:/system.slice/a.service\n") == .systemd("a.service"))
        #expect(
            unit("0::/user.slice/user-7.slice/user@7.service/app.slice/web.service\n") == .userSystemd("web.service"))
        for text in [
            "", "0::/\n", "0::/user.slice/user-7.slice/user@7.service/init.scope\n", "4:memory:/x.service\n",
            "0::/user.slice/user-7.slice/session-1.scope\n", "nonsense",
        ] as [ByteString] {
            #expect(unit(text) == nil, "\(text.text)")
        }
    }

    @Test func nobodySupervises() throws {
        #expect(Supervisor.current(parent: getpid(), in: ProcFileSystem()) == nil)
    }

    /// Down and stays down, by the one signal that was asked for; and can be started again.
    @Test(arguments: RetireService.Kind.allCases) func staysDown(kind: RetireService.Kind) throws {
        let service = try RetireService(kind, "obey", in: sandbox)
        let copy = try service.copy()
        #expect(Supervisor.current(parent: service.supervisor.pid, in: ProcFileSystem()) == service.name)

        // Told first, by itself, to see that it sends nothing.
        try service.name.keepDown()
        try waitUntil("want down") { try service.status().contains("want down") }
        #expect(service.lines.count == 1 && copy.process.isAlive())

        let order = copy.order(keepsFinishing: false, signal: SIGUSR1, supervisor: service.name)
        #expect(try stop([order], sparing: [], report: StopLog().report) == [.exited])
        try waitUntil("down") { try service.isDown }
        #expect(try service.status().contains("normally up"))
        #expect(service.lines.dropFirst() == ["SIGUSR1"])

        try service.start()
        let second = try service.copy(2)
        #expect(second.process != copy.process)
        #expect(try !service.status().contains("want down"))
        // It is restarted again, as ever.
        #expect(kill(second.process.pid, SIGKILL) == 0)
        _ = try service.copy(3)
        #expect(service.lines.filter { !$0.hasPrefix("ready") } == ["SIGUSR1"])
        try service.end()
    }

    /// It lives on, and stays down when it ends at last.
    @Test(arguments: RetireService.Kind.allCases) func retiredStaysDown(kind: RetireService.Kind) throws {
        let service = try RetireService(kind, "finish", in: sandbox)
        let copy = try service.copy()
        #expect(
            try stop([copy.order(supervisor: service.name)], sparing: [], report: StopLog().report) == [.retired])
        #expect(try service.status().contains("want down"))
        #expect(kill(copy.process.pid, SIGKILL) == 0)
        try waitUntil("down") { try service.isDown }
        #expect(service.lines.dropFirst() == ["SIGTERM"])
        try service.end()
    }

    /// The supervisor of a copy that lives on is not told, so that this one is started again.
    @Test(arguments: RetireService.Kind.allCases) func spared(kind: RetireService.Kind) throws {
        let service = try RetireService(kind, "obey", in: sandbox)
        let copy = try service.copy()
        let log = StopLog()
        let order = copy.order(keepsFinishing: false, supervisor: service.name)
        #expect(try stop([order], sparing: [service.name], report: log.report) == [.exited])
        let second = try service.copy(2)
        // Also when it has gone already: what runs in its place is left alone.
        #expect(try stop([order], sparing: [service.name], report: log.report) == [.alreadyGone])
        #expect(try second.process.isAlive() && !service.status().contains("want down"))
        // Which it is not if nobody spares it.
        #expect(try stop([order], sparing: [], report: log.report) == [.alreadyGone])
        try waitUntil("down") { try service.isDown }
        #expect(service.lines.last == "SIGCONT" || service.lines.last == "SIGTERM")
        try service.end()
    }

    /// A server that has executed itself anew has left its supervisor, which starts another one: that ends as well.
    @Test(arguments: RetireService.Kind.allCases) func successorHasLeftIt(kind: RetireService.Kind) throws {
        let service = try RetireService(kind, "wrapper", in: sandbox)
        let copy = try service.copy()
        #expect(kill(copy.process.pid, SIGKILL) == 0)
        let second = try service.copy(2)
        let order = StopOrder(
            process: try ProcessIdentity(of: copy.other), listeners: [copy.listener], supervisor: service.name,
            stopSignal: SIGTERM, stopTimeout: .seconds(40), keepsFinishing: false, nice: nil)
        #expect(try stop([order], sparing: [], report: StopLog().report) == [.exited])
        try waitUntil("down") { try service.isDown }
        #expect(service.starts.count == 2)
        kill(second.other, SIGKILL)
        try service.end()
    }

    /// A supervisor that is slow to read gets the time: were the copy to end before, it would be started again.
    @Test(arguments: RetireService.Kind.allCases) func slowSupervisor(kind: RetireService.Kind) throws {
        let service = try RetireService(kind, "obey", in: sandbox)
        let copy = try service.copy()
        service.supervisor.signal(SIGSTOP)
        try waitUntil("its stop") { try ProcessStatus(of: service.supervisor.pid).isStopped }
        let order = copy.order(keepsFinishing: false, supervisor: service.name)
        let log = StopLog()
        let meanwhile = Meanwhile { try stop([order], sparing: [], report: log.report) }
        try waitUntil("the command") { service.hasPendingCommand }
        #expect(copy.process.isAlive())
        service.supervisor.signal(SIGCONT)
        #expect(try meanwhile.value() == [.exited])
        try waitUntil("down") { try service.isDown }
        #expect(service.starts.count == 1 && log.warnings.isEmpty)
        try service.end()
    }

    /// A copy that ends by itself just before its supervisor reads: runsv starts it once more, which is undone.
    @Test(arguments: RetireService.Kind.allCases) func endsBeforeTheWord(kind: RetireService.Kind) throws {
        let service = try RetireService(kind, "obey", in: sandbox)
        let copy = try service.copy()
        service.supervisor.signal(SIGSTOP)
        try waitUntil("its stop") { try ProcessStatus(of: service.supervisor.pid).isStopped }
        let order = copy.order(keepsFinishing: false, supervisor: service.name)
        let meanwhile = Meanwhile { [log = StopLog()] in try stop([order], sparing: [], report: log.report) }
        try waitUntil("the command") { service.hasPendingCommand }
        #expect(kill(copy.process.pid, SIGKILL) == 0)
        try waitUntil("its end") { !copy.process.isAlive() }
        service.supervisor.signal(SIGCONT)
        #expect(try meanwhile.value() == [.exited])
        try waitUntil("down") { try service.isDown }
        try service.end()
    }

    /// What would be started again is left as it is; not so if its supervisor has gone.
    @Test(arguments: RetireService.Kind.allCases) func cannotBeTold(kind: RetireService.Kind) throws {
        let service = try RetireService(kind, "obey", in: sandbox)
        let copy = try service.copy()
        chmod("\(service.directory)/supervise", 0o777)
        let log = StopLog()
        let order = copy.order(keepsFinishing: false, supervisor: service.name)
        let outcome = try stop([order], sparing: [], report: log.report)
        guard case .refused(let refusal) = outcome[0], case .supervisorNotTold(let why) = refusal.why else {
            return #expect(Bool(false), "\(outcome)")
        }
        #expect(why.text.contains("others may write to its directory"))
        #expect(refusal.description.text.contains("is left running"))
        #expect(service.lines.count == 1 && copy.process.isAlive() && log.warnings.count == 1)

        kill(service.supervisor.pid, SIGKILL)
        try waitUntil("another parent") { try ProcessStatus(of: copy.process.pid).parent != service.supervisor.pid }
        #expect(try stop([order], sparing: [], report: log.report) == [.exited])
    }

    @Test func nobodyReads() throws {
        let directory = sandbox.makeDirectory("web")
        _ = sandbox.makeDirectory("web/supervise", mode: 0o700)
        #expect(mkfifo("\(directory)/supervise/control", 0o600) == 0)
        try Supervisor.runit(ByteString(directory)).keepDown()
        try Supervisor.s6(ByteString(directory)).keepDown()
    }

    @Test func untrustedControl() throws {
        let directory = sandbox.makeDirectory("web")
        let supervise = sandbox.makeDirectory("web/supervise", mode: 0o700)
        let supervisor = Supervisor.runit(ByteString(directory))
        #expect(reason(supervisor).contains("no such file"))
        sandbox.write("web/supervise/control", "")
        #expect(reason(supervisor).contains("unable to trust"))
        unlink("\(supervise)/control")
        #expect(mkfifo("\(supervise)/control", 0o600) == 0)
        #expect(reason(supervisor) == "")
        chmod(supervise, 0o720)
        #expect(reason(supervisor).contains("others may write"))
        chmod(supervise, 0o700)
        guard Tool.isRoot else { return }
        #expect(chown("\(supervise)/control", 65534, 65534) == 0)
        #expect(reason(supervisor).contains("unable to trust"))
        #expect(chown("\(supervise)/control", 0, 0) == 0 && chown(supervise, 65534, 65534) == 0)
        #expect(reason(supervisor).contains("others may write"))
    }

    private func reason(_ supervisor: Supervisor) -> String {
        do throws(Failure) {
            try supervisor.keepDown()
            return ""
        } catch {
            return error.message.text
        }
    }

    @Test func systemd() throws {
        let path = try systemctl("echo \"$XDG_RUNTIME_DIR|$*\" >> '\(sandbox.path)/calls'")
        try Supervisor.systemd("web-blue.service").keepDown(searchPath: path)
        try Supervisor.userSystemd("-x.service").keepDown(searchPath: path)
        let calls = try String(contentsOfFile: sandbox["calls"], encoding: .utf8)
        #expect(
            calls == """
                |--no-block stop -- web-blue.service
                /run/user/\(geteuid())|--user --no-block stop -- -x.service

                """)
    }

    @Test func systemdBeforeTheSignal() throws {
        let copy = try RetireCopy("obey", in: sandbox)
        let path = try systemctl("kill -0 \(copy.process.pid) && echo told >> '\(sandbox.path)/calls'")
        let order = copy.order(keepsFinishing: false, supervisor: .systemd("web.service"))
        #expect(
            try stop([order], sparing: [], searchPath: path, report: StopLog().report) == [.exited])
        #expect(try String(contentsOfFile: sandbox["calls"], encoding: .utf8) == "told\n")
    }

    @Test func systemctlFails() throws {
        let copy = try RetireCopy("obey", in: sandbox)
        let path = try systemctl("exit 5")
        let order = copy.order(supervisor: .systemd("web.service"))
        let outcome = try stop([order], sparing: [], searchPath: path, report: StopLog().report)
        guard case .refused(let refusal) = outcome[0], case .supervisorNotTold(let why) = refusal.why else {
            return #expect(Bool(false), "\(outcome)")
        }
        #expect(why.text.contains("unable to stop web.service"))
        #expect(copy.process.isAlive())
        // Nothing but absolute directories is searched.
        #expect(throws: Failure.self) { try Supervisor.systemd("x.service").keepDown(searchPath: ":.:bin") }
    }

    @Test func systemctlHangs() throws {
        let path = try systemctl("exec sleep 1000")
        #expect(throws: Failure.self) {
            let manager = SystemdManager(isUser: false, searchPath: path)
            try manager.stop("web.service", timeout: Milliseconds(100))
        }
    }

    /// A `systemctl` of ours, and the PATH to find it and what it needs.
    private func systemctl(_ script: String) throws -> ByteString {
        let directory = sandbox.makeDirectory("bin")
        sandbox.write("bin/systemctl", "#!/bin/sh\n\(script)\n", mode: 0o755)
        return ByteString("\(directory):/usr/bin:/bin")
    }
}
