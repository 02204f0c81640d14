import CLinux
import Foundation
import Testing

@testable import ReusePortKit

struct ReadyFormsTests {
    private static let longDelay = "exec sleep 600"

    private let box = Sandbox()

    private func folder() throws -> Descriptor { try open(ByteString(box.path), O_RDONLY | O_DIRECTORY) }

    // MARK: An acknowledgement

    /// As the libraries for Go, Ruby and Node write it. Nothing is left in the folder.
    @Test(
        arguments: [
            (#"{"command":"worker:ack","pid":1}"#, true), ("---%0Acommand: worker:ack%0Apid: 1%0A", true),
            ("---%0Acommand:%20worker:ack%0Apid:%201", true), (#"{"command":"worker:ping","pid":1}"#, false),
            ("", false),
        ])
    func acknowledged(line: String, isReady: Bool) throws {
        let folder = try folder()
        box.write(".ack.\(getpid())", "left behind")
        var channel = try ReadinessChannel.make(.acknowledgement, in: folder.number)
        #expect(try FileManager.default.contentsOfDirectory(atPath: box.path) == [])
        let client = box.write(
            "client.py",
            """
            import socket
            master = socket.socket(socket.AF_UNIX)
            master.connect('/proc/self/fd/7')
            master.send(b'\(line)\\n')
            """)
        let copy = try start("\(try Tool.require("python3")) \(client); exec sleep 600", &channel)
        let problem = readyProblem(
            .acknowledgement, copy, channel: channel, within: .seconds(isReady ? 3600 : 1))
        #expect(problem?.contains("no worker:ack came") == (isReady ? nil : true), "\(problem ?? "")")
    }

    // MARK: The copy's end

    /// Each form notices it at once; the deadline is much further away than the test runs.
    @Test(
        arguments: [
            .accept, .http(HTTPCheck(text: "", socket: "web", path: "/")), .notify, .acknowledgement, .descriptor(7),
            .command("exit 1"),
            .none,
        ] as [Readiness])
    func deathIsNoticed(readiness: Readiness) throws {
        let listener = try ReadyListener(.v4)
        let folder = try folder()
        var channel = try ReadinessChannel.make(readiness, in: folder.number)
        let copy = try start("exit 3", &channel)
        if readiness == .none { _ = try copy.handle.waitForExit(until: nil) }
        let problem = readyProblem(
            readiness, copy, channel: channel, listeners: [listener.identity], within: .seconds(3600))
        #expect(problem == "exited with 3")
    }

    /// With the write end, if there is one, as its descriptor 7, and as nobody else's.
    private func start(_ script: String, _ channel: inout ReadinessChannel) throws -> ReadyCopy {
        let writer = channel.takeWriteEnd()
        switch writer {
        case .some(let writer): return try ReadyCopy(shell: script, descriptors: [7: writer.number])
        case .none: return try ReadyCopy(shell: script)
        }
    }

    @Test func endReasons() throws {
        for (script, reason) in [
            ("exit 0", "exited with 0"), ("exit 255", "exited with 255"), ("kill -9 $$", "killed by signal 9 (KILL)"),
            ("kill -15 $$", "killed by signal 15 (TERM)"), ("kill -34 $$", "killed by signal 34 (RTMIN)"),
        ] as [(String, ByteString)] {
            let copy = try ReadyCopy(shell: script)
            let hasEnded = try copy.handle.waitForExit(until: nil)
            #expect(hasEnded)
            // As a zombie, and when it has been reaped.
            #expect(end(of: copy.handle)?.description == reason)
            var status: Int32 = 0
            #expect(waitpid(copy.pid, &status, 0) == copy.pid)
            #expect(end(of: copy.handle)?.description == (Self.pidfdTellsStatus ? reason : nil))
        }
    }

    private static let pidfdTellsStatus: Bool = {
        guard let line = try? ProcFileSystem().read("sys/kernel/osrelease") else { return false }
        let parts = line.split(on: UInt8(ascii: "."))
        guard parts.count > 1, let major = parts[0].decimal, let minor = parts[1].decimal else { return false }
        return major > 6 || major == 6 && minor >= 15
    }()

    @Test func backgroundIsExplained() throws {
        let copy = try ReadyCopy(shell: "exit 0")
        #expect(
            try readyProblem(.command("exit 1"), copy)
                == "exited with 0; it must stay in the foreground")
    }

    @Test func none() throws {
        #expect(try readyProblem(.none, try ReadyCopy(shell: Self.longDelay)) == nil)
    }

    // MARK: HTTP

    /// Answers with the lines of ANSWERS, one for each connection, the last one again and again; a note of each request
    /// goes to descriptor 4.
    private static let httpServer = """
        import os, socket
        answers = os.environ["ANSWERS"].encode().split(b"|")
        listener = socket.socket(fileno=3)
        while True:
            client, _ = listener.accept()
            request = b""
            while b"\\r\\n\\r\\n" not in request:
                piece = client.recv(4096)
                if not piece:
                    break
                request += piece
            else:
                os.write(4, request)
                client.sendall(answers[0])
                answers = answers[1:] or answers
            client.close()
        """

    private func http(
        _ answers: String, _ kind: ReadyAddress = .v4, within time: Milliseconds = .seconds(60),
        check: HTTPCheck = HTTPCheck(text: "", socket: "web", path: "/health")
    ) throws -> (problem: String?, requests: [String], log: String) {
        let listener = try ReadyListener(kind)
        let requests = try ReadyLog()
        let copy = try ReadyCopy(
            python: Self.httpServer, environment: ["ANSWERS=\(answers)"],
            descriptors: [3: listener.socket.number, 4: requests.descriptor])
        let log = try ReadyLog()
        // The time is for the answers, not for the interpreter's start.
        let accepts = try readyProblem(.accept, copy, listeners: [listener.identity])
        #expect(accepts == nil)
        let problem = try readyProblem(
            .http(check), copy, listeners: [listener.identity], within: time,
            log: log.log)
        let seen = requests.text().components(on: "\r\n\r\n")
        return (problem, seen, log.text())
    }

    @Test(arguments: [ReadyAddress.v4, .v6, .dualStack, .unix]) func httpAnswers(kind: ReadyAddress) throws {
        let result = try http("HTTP/1.1 204 No Content\r\n\r\n", kind)
        #expect(result.problem == nil)
        #expect(result.requests.count == 1)
        let host =
            switch kind {
            case .unix: "Host: localhost\r\n"
            case .v6: "Host: [::1]:"
            default: "Host: 127.0.0.1:"
            }
        let request = result.requests.first ?? ""
        #expect(request.hasPrefix("GET /health HTTP/1.1\r\n\(host)"))
        #expect(request.contains("\r\nUser-Agent: reuseport-exec\r\n") && request.hasSuffix("Connection: close"))
    }

    @Test func httpAsItIsAsked() throws {
        let check = HTTPCheck(
            text: "", socket: "web", path: "/", host: "example.org", lowestStatus: 401, highestStatus: 401)
        let result = try http("HTTP/1.1 200 OK\r\n\r\n|HTTP/1.1 401 No\r\n\r\n", check: check)
        #expect(result.problem == nil)
        #expect(result.requests.count == 2)
        #expect(result.requests[0].hasPrefix("GET / HTTP/1.1\r\nHost: example.org\r\n"))
    }

    @Test(
        arguments: [
            (1, "PROXY TCP4 127.0.0.1 127.0.0.1 1 1\r\nGET "),
            // The empty lines with which it begins are not shown.
            (2, "\0\r\nQUIT\n \0\0\0GET "),
        ] as [(UInt64, String)])
    func httpBehindProxyHeader(version: UInt64, start: String) throws {
        let check = HTTPCheck(text: "", socket: "web", path: "/", proxy: version)
        let result = try http("HTTP/1.1 200 OK\r\n\r\n", check: check)
        #expect(result.problem == nil)
        var request = result.requests.first ?? ""
        if result.requests.count > 1 { request += result.requests[1] }
        #expect(request.hasPrefix(start), "\(result.requests)")
    }

    @Test func httpIsAskedAgain() throws {
        let result = try http("HTTP/1.1 500 Oops\r\n|garbage\n||HTTP/1.0 302 Found\r\n\r\n")
        #expect(result.problem == nil)
        #expect(result.requests.count == 4)
        let seen = ["answered 500", "answered something else", "no answer: the connection was closed", "answered 302"]
        #expect(seen.allSatisfy { result.log.contains($0) }, "\(result.log)")
    }

    @Test func httpEndlessLine() throws {
        let result = try http(String(repeating: "x", count: 9000) + "|HTTP/1.1 200 OK\r\n\r\n")
        #expect(result.problem == nil)
        #expect(result.log.contains("answered something else"))
    }

    @Test func httpLastAnswerIsTold() throws {
        let result = try http("HTTP/1.1 503 Busy\r\n\r\n", within: .seconds(3))
        #expect(result.problem?.hasSuffix("not ready after 3 s: answered 503") == true, "\(result.problem ?? "")")
    }

    @Test func httpUnknownSocket() throws {
        let copy = try ReadyCopy(shell: Self.longDelay)
        let problem = try readyProblem(.http(HTTPCheck(text: "", socket: "web", path: "/")), copy) ?? ""
        #expect(problem.hasSuffix("there is no stream socket 'web'"))
    }

    // MARK: Notifications

    private static let notifier = """
        import os, socket, time
        def tell(text):
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            s.sendto(text, b"\\0" + os.environ["NOTIFY_SOCKET"][1:].encode())

        """

    private func notify(
        _ script: String, within time: Milliseconds = .seconds(60), first: (ByteString) throws -> Void = { _ in }
    ) throws -> (problem: String?, log: String) {
        let channel = try ReadinessChannel.make(.notify)
        let chosen = channel.notifySocketName
        let name = try #require(chosen)
        #expect(name.hasPrefix("@") && name.count == 6)
        try first(name)
        let copy = try ReadyCopy(
            python: Self.notifier + script,
            environment: ["NOTIFY_SOCKET=\(String(decoding: name.bytes, as: UTF8.self))"])
        let log = try ReadyLog()
        let problem = readyProblem(.notify, copy, channel: channel, within: time, log: log.log)
        return (problem, log.text())
    }

    @Test func notified() throws {
        let result = try notify(
            "tell(b'STATUS=loading'); tell(b'MAINPID=1\\nREADY=1\\nSTATUS=up'); time.sleep(600)")
        #expect(result.problem == nil)
        #expect(result.log.contains("its status is 'loading'") && result.log.contains("'up'"))
    }

    @Test func notifiedByChild() throws {
        let result = try notify("os.fork() or tell(b'READY=1'); time.sleep(600)")
        #expect(result.problem == nil)
    }

    /// From this process, which the copy has not started.
    @Test func foreignNotificationIsIgnored() throws {
        let result = try notify("tell(b'STATUS=up'); tell(b'READY=1'); time.sleep(600)") { name in
            let sender = try socket(family: AF_UNIX, type: Int32(SOCK_DGRAM.rawValue))
            var bytes = name.bytes
            bytes[0] = 0
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
            try withUnsafeBytes(of: &address) { raw in
                let start = raw.baseAddress!.assumingMemoryBound(to: sockaddr.self)
                _ = try checked(sendto(sender.number, "READY=1", 7, 0, start, socklen_t(2 + bytes.count)))
            }
        }
        #expect(result.problem == nil)
        #expect(result.log.contains("ignored a message from pid \(getpid()),"))
        #expect(result.log.contains("its status is 'up'"))
    }

    /// Root may name another sender: the copy's number with another user's, as if the sender had ended and the copy had
    /// started a process with its number.
    @Test(arguments: [0, 12345]) func senderOfAnotherUserIsIgnored(user: Int) throws {
        try Tool.requireRoot()
        let result = try notify(
            """
            import struct
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            sender = (socket.SOL_SOCKET, 2, struct.pack("iii", os.getpid(), \(user), 0))
            s.sendmsg([b"READY=1"], [sender], 0, b"\\0" + os.environ["NOTIFY_SOCKET"][1:].encode())
            tell(b'STATUS=sent')
            time.sleep(600)
            """, within: .seconds(user == 0 ? 60 : 2))
        #expect((result.problem == nil) == (user == 0), "\(result.problem ?? "")")
    }

    // MARK: Descriptors of others

    private static let passRights: Int32 = 83

    /// Sends a TCP socket whose close(2) waits for an hour, and keeps its other end.
    private func sendLingering(to name: ByteString) throws -> (sent: Bool, kept: Int32) {
        let sender = try ReusePortKit.socket(family: AF_UNIX, type: Int32(SOCK_DGRAM.rawValue))
        // An abstract name begins with a zero byte, and does not end with one.
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: [0] + name.bytes.dropFirst()) }
        try withUnsafeBytes(of: &address) { raw in
            let start = raw.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            _ = try checked(CLinux.connect(sender.number, start, socklen_t(2 + name.count)))
        }
        let listener = try ReadyListener(.v4)
        let socket = try listener.connect()
        _ = try waitForEvents(POLLOUT, on: socket, until: nil)
        let kept = try checked(accept(listener.socket.number, nil, nil))
        func setLinger(_ isOn: Bool) {
            var linger = CLinux.linger(l_onoff: isOn ? 1 : 0, l_linger: 3600)
            setsockopt(socket.number, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<CLinux.linger>.size))
        }
        setLinger(true)
        let block = [UInt8](repeating: 0, count: 1 << 16)
        while send(socket.number, block, block.count, Int32(MSG_DONTWAIT)) > 0 {}
        let isSent = clinux_send_message(sender.number, "X=1", 3, socket.number) != -1
        // If it was refused, ours is the last descriptor, whose close must not wait.
        if !isSent { setLinger(false) }
        return (isSent, kept)
    }

    /// Also on kernels that cannot refuse descriptors, the deadline and later messages count.
    @Test(arguments: [false, true]) func descriptorsOfOthersDoNotHoldUp(isReady: Bool) throws {
        let channel = try ReadinessChannel.make(.notify)
        let chosen = channel.notifySocketName
        let name = try #require(chosen)
        switch channel.reader {
        case .some(let reader): try? setOption(reader, SOL_SOCKET, Self.passRights, 1)
        case .none: break
        }
        let lingering = try sendLingering(to: name)
        defer { close(lingering.kept) }
        #expect(lingering.sent)
        let copy = try ReadyCopy(
            python: Self.notifier + (isReady ? "tell(b'READY=1'); " : "") + "time.sleep(600)",
            environment: ["NOTIFY_SOCKET=\(String(decoding: name.bytes, as: UTF8.self))"])
        let began = MonotonicClock.milliseconds
        let problem = readyProblem(.notify, copy, channel: channel, within: .seconds(isReady ? 60 : 2))
        #expect((problem == nil) == isReady)
        #expect(MonotonicClock.milliseconds - began < patience.count)
    }

    @Test func descriptorsAreRefused() throws {
        let channel = try ReadinessChannel.make(.notify)
        let chosen = channel.notifySocketName
        let name = try #require(chosen)
        switch channel.reader {
        case .some(let reader):
            if (try? option(reader, SOL_SOCKET, Self.passRights)) == nil { return }
        case .none: break
        }
        let lingering = try sendLingering(to: name)
        defer { close(lingering.kept) }
        #expect(!lingering.sent)
    }

    @Test func statusIsTold() throws {
        let result = try notify("tell(b'STATUS=waiting for the database'); time.sleep(600)", within: .seconds(5))
        #expect(
            result.problem?.hasSuffix("not ready after 5 s: its status is 'waiting for the database'") == true,
            "\(result.problem ?? "")")
    }

    @Test func readyAndGone() throws {
        let channel = try ReadinessChannel.make(.notify)
        let chosen = channel.notifySocketName
        let name = try #require(chosen)
        let copy = try ReadyCopy(
            python: Self.notifier + "tell(b'READY=1'); os._exit(5)",
            environment: ["NOTIFY_SOCKET=\(String(decoding: name.bytes, as: UTF8.self))"])
        #expect(try copy.handle.waitForExit(until: nil))
        #expect(readyProblem(.notify, copy, channel: channel)?.hasSuffix("exited with 5") == true)
    }

    // MARK: A descriptor

    private func newline(_ script: String) throws -> String? {
        var channel = try ReadinessChannel.make(.descriptor(7))
        let copy = try start(script, &channel)
        return readyProblem(.descriptor(7), copy, channel: channel)
    }

    @Test func newlineComes() throws {
        #expect(try newline("printf x >&7; printf 'y\\n' >&7; exec sleep 600") == nil)
    }

    @Test func descriptorIsClosed() throws {
        let problem = try newline("printf x >&7; exec sleep 600 7>&-") ?? ""
        #expect(problem.hasSuffix("closed descriptor 7 without a newline"))
    }

    // MARK: A command

    @Test func commandSucceedsAtLast() throws {
        let folder = makeFolder(prefix: "reuseport-exec-ready")
        defer { removeTree(folder) }
        let copy = try ReadyCopy(shell: Self.longDelay)
        let command = "echo $$ $REUSEPORT_EXEC_PID >> \(folder)/runs; [ $(wc -l < \(folder)/runs) -ge 3 ]"
        let log = try ReadyLog()
        #expect(try readyProblem(.command(ByteString(command)), copy, log: log.log) == nil)
        #expect(log.text().contains("the command exited with 1"))
        let runs = try #require(try? read("\(folder)/runs")).components(on: "\n")
        #expect(runs.count == 3)
        for run in runs {
            let words = run.components(on: " ")
            #expect(words.last == "\(copy.pid)")
            #expect(!isChild(Int32(words[0]) ?? 0))
        }
    }

    /// The command goes on for ever, and so would what it has started; the copy's end ends both.
    @Test func commandIsEnded() throws {
        let folder = makeFolder(prefix: "reuseport-exec-ready")
        defer { removeTree(folder) }
        let copy = try ReadyCopy(shell: Self.longDelay)
        let command = "sleep 600 & echo $$ $! > \(folder)/pids; kill -9 $REUSEPORT_EXEC_PID; wait"
        let problem = try readyProblem(.command(ByteString(command)), copy) ?? ""
        #expect(problem.hasSuffix("killed by signal 9 (KILL)"))
        let pids = try read("\(folder)/pids").components(on: "\n")[0].components(on: " ").compactMap { Int32($0) }
        try #require(pids.count == 2)
        #expect(!isChild(pids[0]))
        // Gone, or about to be.
        let orphan = try? ProcessHandle(to: pids[1])
        switch orphan {
        case .some(let orphan): #expect(try orphan.waitForExit(until: ReusePortKit.Deadline(after: .seconds(60))))
        case .none: break
        }
    }

    @Test func commandFails() throws {
        let copy = try ReadyCopy(shell: Self.longDelay)
        let problem = try readyProblem(.command("exit 9"), copy, within: .seconds(3)) ?? ""
        #expect(problem.hasSuffix("not ready after 3 s: the command exited with 9"))
    }

    @Test func commandNeverEnds() throws {
        let copy = try ReadyCopy(shell: Self.longDelay)
        let problem = try readyProblem(.command("sleep 600"), copy, within: Milliseconds(300)) ?? ""
        // How long it was is measured.
        #expect(problem.contains("not ready after ") && problem.hasSuffix(" ms: the command has not finished"))
    }

    /// Still there as a child of ours, be it as a zombie.
    private func isChild(_ pid: Int32) -> Bool { (try? ProcessStatus(of: pid))?.parent == getpid() }

    private func read(_ path: String) throws -> String {
        let file = try open(ByteString(path), O_RDONLY)
        return String(decoding: try readAll(file, atMost: 65536).bytes, as: UTF8.self)
    }
}

extension String {
    /// The parts between `separator`s that are not empty.
    fileprivate func components(on separator: String) -> [String] {
        var parts: [String] = []
        var rest = ByteString(self)
        let separator = ByteString(separator)
        var start = 0
        var index = 0
        while index <= rest.count {
            if index == rest.count || rest.hasBytes(separator, at: index) {
                if index > start { parts.append(String(decoding: rest[start..<index].bytes, as: UTF8.self)) }
                start = index + separator.count
                index = start
            } else {
                index += 1
            }
        }
        rest = ""
        return parts
    }
}
