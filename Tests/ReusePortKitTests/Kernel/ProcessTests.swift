import CLinux
import Foundation
import Testing

@testable import ReusePortKit

@Suite struct ProcessTests {
    @Test func statusLine() throws {
        let rest: ByteString = "7 1 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 987654 0 0"
        let plain = try #require(ProcessStatus(parsing: "12 (cat) S \(rest)\n"))
        #expect(plain.identity == ProcessIdentity(pid: 12, startTime: 987654))
        #expect(plain.name.text == "cat" && plain.state == UInt8(ascii: "S") && plain.parent == 7)
        #expect(!plain.hasEnded && !plain.isStopped)
        let odd = try #require(ProcessStatus(parsing: "12 (a) R 1 (b\n) Z \(rest)\n"))
        #expect(odd.name.text == "a) R 1 (b\n" && odd.identity.startTime == 987654 && odd.hasEnded)
        let empty = try #require(ProcessStatus(parsing: "12 () t \(rest)\n"))
        #expect(empty.name.isEmpty && empty.isStopped)
        for bad in ["", "12", "12 (cat", "12 (cat)", "12 (cat) S 1 2", "x (cat) S \(rest)"] as [ByteString] {
            #expect(ProcessStatus(parsing: bad) == nil, "\(bad.text)")
        }
    }

    /// The kernel names a process after the file it executes.
    @Test func oddNameInTheKernelsWords() throws {
        let directory = Sandbox()
        let link = "\(directory.path)/x) R 1 (y"
        let places: [String] = ["/bin/cat", "/usr/bin/cat"]
        let cat = try #require(places.first { access($0, X_OK) == 0 })
        #expect(symlink(cat, link) == 0)
        let child = try Running.cat(["first", "-", ""], path: link)
        let status = try ProcessStatus(of: child.pid)
        #expect(status.name.text == "x) R 1 (y")
        #expect(status.parent == getpid())
        #expect(try commandName(of: child.pid).text == "x) R 1 (y")
        let arguments = try commandLine(of: child.pid).map { $0.text }
        #expect(arguments == ["first", "-", ""])
        #expect(try userID(of: child.pid) == geteuid())
    }

    @Test func lifeAndDeath() throws {
        let child = try Running.cat()
        let identity = try ProcessIdentity(of: child.pid)
        #expect(identity.pid == child.pid && identity.isAlive())
        let handle = try ProcessHandle(to: identity)
        #expect(handle.identity == identity)
        #expect(try ProcessHandle(to: child.pid).identity == identity)
        var hasExited = handle.hasExited
        #expect(!hasExited)
        #expect(try !handle.waitForExit(until: Deadline(after: Milliseconds(1))))
        try handle.signal(0)

        child.endInput()
        #expect(try handle.waitForExit(until: nil))
        hasExited = handle.hasExited
        #expect(hasExited)
        // A zombie now, which is not alive, though its number is still taken.
        #expect(!identity.isAlive())
        #expect(try ProcessStatus(of: child.pid).hasEnded)
        #expect(try commandLine(of: child.pid).isEmpty)
        #expect(try child.end().status == 0)
        #expect(throws: Errno.noProcess) { try handle.signal(SIGTERM) }
        #expect(throws: Errno.noProcess) { _ = try ProcessHandle(to: identity).identity }
        #expect(throws: Errno.self) { _ = try ProcessIdentity(of: child.pid) }
    }

    /// Another process under the same number.
    @Test func numberOfAnother() throws {
        let child = try Running.cat()
        let now = try ProcessIdentity(of: child.pid)
        let before = ProcessIdentity(pid: child.pid, startTime: now.startTime - 1)
        #expect(!before.isAlive())
        #expect(throws: Errno.noProcess) { _ = try ProcessHandle(to: before).identity }
        #expect(throws: Errno.noProcess) { _ = try socketInodes(of: before) }
        #expect(throws: Errno.noProcess) { try setPriority(of: before, nice: 1) }
        #expect(throws: Errno.noProcess) { try setOutOfMemoryScore(of: before, adjustment: 1) }
        #expect(try priorities(of: now) == [try #require(ownPriority)])
    }

    @Test func signalsArrive() throws {
        let child = try Running.cat()
        let handle = try ProcessHandle(to: child.pid)
        try handle.signal(SIGSTOP)
        #expect(child.waitForStop())
        #expect(try ProcessStatus(of: child.pid).isStopped)
        try handle.signal(SIGCONT)
        try handle.signal(SIGTERM)
        let hasEnded = try handle.waitForExit(until: Deadline(after: .seconds(60)))
        try #require(hasEnded)
        #expect(try child.end().status & 0x7F == SIGTERM)
    }

    @Test func strangersMayNot() throws {
        try Tool.requireRoot()
        let child = try Running.cat()
        let (pid, number) = (child.pid, child.pid)
        let identity = try ProcessIdentity(of: pid)
        try asNobody {
            // It may be watched, not touched.
            let handle = try ProcessHandle(to: number)
            #expect(handle.identity == identity)
            #expect(throws: Errno.notPermitted) { try handle.signal(SIGKILL) }
            #expect(throws: Errno.notPermitted) { _ = try handle.borrowDescriptor(0).number }
            #expect(throws: Errno.accessDenied) { _ = try socketInodes(of: identity) }
            #expect(throws: Errno.notPermitted) { try setPriority(of: identity, nice: 1) }
        }
        #expect(identity.isAlive())
    }

    @Test func borrowedDescriptor() throws {
        let socket = try InspectedSocket(backlog: 1)
        let child = try Running.cat(socket: socket.number)
        let handle = try ProcessHandle(to: child.pid)
        let borrowed = try handle.borrowDescriptor(3)
        #expect(try socketCookie(of: borrowed) == socket.cookie)
        #expect(clinux_fcntl(borrowed.number, F_GETFD, 0) & Int32(FD_CLOEXEC) != 0)
        #expect(throws: Errno.badDescriptor) { _ = try handle.borrowDescriptor(1000).number }
    }

    @Test func holdersOfASocket() throws {
        let socket = try InspectedSocket(backlog: 1)
        let other = try InspectedSocket(backlog: 1)
        let inode = socket.inode
        let child = try Running.cat(socket: socket.number)
        let otherInode = other.inode
        let expected = [
            SocketHolder(
                inode: inode, process: try ProcessIdentity(of: getpid()), name: try commandName(of: getpid()),
                descriptor: socket.number),
            SocketHolder(
                inode: inode, process: try ProcessIdentity(of: child.pid), name: "cat", descriptor: 3),
        ]
        #expect(try settled(expected) { try holders(ofSocketInodes: [inode]).found } == expected)
        #expect(try holders(ofSocketInodes: [inode]).isComplete)

        let both = try holders(ofSocketInodes: [inode, otherInode])
        #expect(both.holders(of: inode).starts(with: expected))
        #expect(both.holders(of: otherInode).first?.descriptor == other.number)
        #expect(try holders(ofSocketInodes: []).found.isEmpty)
        let inodes = try socketInodes(of: try ProcessIdentity(of: child.pid))
        #expect(inodes.contains(inode) && !inodes.contains(otherInode))
        #expect(throws: Errno.noEntry) {
            _ = try holders(ofSocketInodes: [1], in: ProcFileSystem(root: "/nonexistent"))
        }
        #expect(throws: Errno.noEntry, "an empty directory in the place of /proc") {
            _ = try holders(ofSocketInodes: [1], in: ProcFileSystem(root: ByteString(Sandbox().path)))
        }
    }

    /// One user's descriptors keep nobody's socket from being found.
    @Test func searchHasABudgetForEachUser() throws {
        try Tool.requireRoot()
        let socket = try InspectedSocket(backlog: 1)
        let inode = socket.inode
        let number = socket.number
        // Its socket has the last of many numbers, and /proc/PID belongs to root since it has changed its user.
        let script =
            "import os; [os.dup(0) for i in range(100)]; os.dup2(3, 500); os.close(3); os.setuid(65534); "
            + "print(1, flush=True); os.read(0, 1)"
        let hog = try Running(
            file: try Tool.require("python3"), words: ["python3", "-c", ByteString(script)],
            environment: callersEnvironment(), hasInput: true, socket: number)
        #expect(try hog.line() == "1")
        let cat = try Running.cat(socket: number)
        func pids(_ budget: Int, _ first: ProcessIdentity? = nil) throws -> (pids: [pid_t], isComplete: Bool) {
            let seen = try holders(ofSocketInodes: [inode], first: first, budget: budget)
            return (seen.found.map { $0.process.pid }.filter { $0 != getpid() }, seen.isComplete)
        }
        #expect(try settled([hog.pid, cat.pid]) { try pids(1_000_000).pids } == [hog.pid, cat.pid])
        let limited = try pids(50)
        #expect(limited.pids == [cat.pid] && !limited.isComplete)
        // Whoever is recorded is asked first, while there is a budget left.
        #expect(try pids(600, try ProcessIdentity(of: hog.pid)).pids == [hog.pid, cat.pid])
        _ = consume socket
    }

    @Test func hiddenProcessesAreCounted() throws {
        try Tool.requireRoot()
        let socket = try InspectedSocket(backlog: 1)
        let inode = socket.inode
        let child = try Running.cat(socket: socket.number)
        _ = consume socket
        let seen = try asNobody { try holders(ofSocketInodes: [inode]) }
        #expect(!seen.found.contains { $0.process.pid == child.pid } && !seen.hidden.isEmpty)
        #expect(seen.lacks == .readSearch)
        #expect(try settled([child.pid]) { try pids(inode) } == [child.pid])
    }

    @Test func priorityOfAllThreads() throws {
        let script = """
            import sys, threading
            end = threading.Event()
            for _ in range(4): threading.Thread(target=end.wait).start()
            print("ready", flush=True)
            sys.stdin.read()
            end.set()
            """
        let child = try Running(
            file: try Tool.require("python3"), words: ["python3", "-c", ByteString(script)],
            environment: Sandbox.environment, hasInput: true)
        #expect(try child.line() == "ready")
        let identity = try ProcessIdentity(of: child.pid)
        #expect(try priorities(of: identity).count == 5)
        try setPriority(of: identity, nice: 19)
        #expect(try priorities(of: identity) == [19, 19, 19, 19, 19])
    }

    @Test func outOfMemoryScore() throws {
        let child = try Running.cat()
        let identity = try ProcessIdentity(of: child.pid)
        try setOutOfMemoryScore(of: identity, adjustment: 777)
        #expect(try ProcFileSystem().read("\(child.pid)/oom_score_adj").text == "777\n")
        #expect(throws: Errno.invalid) { try setOutOfMemoryScore(of: identity, adjustment: 1001) }
    }

    @Test func unprivilegedPorts() throws {
        let text = try ProcFileSystem().read("sys/net/ipv4/ip_unprivileged_port_start").trimmed.text
        #expect(unprivilegedPortStart() == UInt16(text.trimmingCharacters(in: .newlines)))
        #expect(unprivilegedPortStart() != nil)
        #expect(unprivilegedPortStart(in: ProcFileSystem(root: "/nonexistent")) == nil)
    }

    private func pids(_ inode: UInt64) throws -> [Int32] {
        try holders(ofSocketInodes: [inode]).found.map { $0.process.pid }
    }

    private var ownPriority: Int32? { try? priorities(of: try ProcessIdentity(of: getpid())).first }
}

@Suite struct ProcessTimeTests {
    @Test(arguments: [
        ("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("1h", 3_600_000), ("0s", 0), ("007s", 7000),
        ("8760h", 31_536_000_000),
    ])
    func lengths(text: String, count: UInt64) {
        #expect(Milliseconds(parsing: ByteString(text)) == Milliseconds(count))
    }

    @Test(arguments: [
        "", "s", "ms", "5", "5 s", " 5s", "-5s", "+5s", "1.5s", "5S", "5sec", "5m30s", "8761h", "31536000001ms",
        "18446744073709551615s",
        "18446744073709551616ms",
    ])
    func noLengths(text: String) { #expect(Milliseconds(parsing: ByteString(text)) == nil) }

    @Test(arguments: [
        (0, "0s"), (1, "1ms"), (1500, "1500ms"), (30_000, "30s"), (90_000, "90s"), (300_000, "5m"),
        (7_200_000, "2h"),
    ])
    func shown(count: UInt64, text: String) {
        #expect(Milliseconds(count).description.text == text)
        #expect(Milliseconds(parsing: Milliseconds(count).description) == Milliseconds(count))
    }

    @Test func deadlines() {
        let now = MonotonicClock.milliseconds
        let past = Deadline(moment: now)
        #expect(past.hasPassed && past.remaining == Milliseconds(0) && past.pollTimeout == 0)
        let future = Deadline(after: .seconds(3600))
        #expect(!future.hasPassed && future > past)
        #expect(future.moment >= now + 3_600_000)
        #expect(future.remaining <= .seconds(3600))
        let never = Deadline(after: Milliseconds(UInt64.max))
        #expect(never.moment == UInt64.max && never.pollTimeout == Int32.max)
        #expect(MonotonicClock.microseconds / 1000 >= now)
    }
}
