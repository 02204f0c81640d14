import Foundation
import Testing

@testable import ReusePortKit

/// A listener is taken away for certain: from commands of wrappers, from heirs that resist, and by root with few rights.
@Suite struct RevokeTests {
    /// Processes of this stage that hold a listener of its address.
    private func holders(_ stage: Stage) throws -> [pid_t] {
        let inodes = try sockets(of: .tcp, on: stage.port).map { $0.inode }
        return try ReusePortKit.holders(ofSocketInodes: inodes).found.map { $0.process.pid }
            .filter { pid in stage.marked().contains { $0.pid == pid } }
    }

    /// A shell that waits for the sample server. That accepts sockets only if they are announced for its own pid.
    private func wrapped(_ stage: Stage, _ label: String, before: ByteString = "") throws -> [ByteString] {
        let inner = "sh -c 'export LISTEN_PID=$$; exec \"$0\" \"$@\"' \"$0\" \"$@\""
        return ["/bin/sh", "-c", "\(before)\(inner); true"] + (try stage.sampleServer(label))
    }

    // MARK: - Wrappers

    /// The shell dies of the signal, and its command does not hear of it; a long request is finished all the same.
    @Test(arguments: Level.allCases) func commandOfAShell(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", command: try wrapped(stage, "1"))
        let client = try stage.slowRequest(milliseconds: 2500)
        let second = try stage.deploy("2", command: try wrapped(stage, "2"))
        #expect(!second.errors.contains("killing"), "\(second.errors)")
        #expect(try client.end().output.text.contains("1"))
        #expect(try Load(stage, connections: 8).stop().labels == ["2"])
        try waitUntil("the first has gone") { stage.marked().count == 2 }
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        try waitUntil("nothing is left") { stage.marked().isEmpty }
    }

    /// The shell keeps the listener itself and waits, so it is not clear for a while that nobody tells the command.
    @Test func commandOfAShellThatWaits() throws {
        let stage = try Stage(.privileged)
        let options: [ByteString] = ["--stop-timeout", "4s"]
        try stage.deploy("1", options, command: try wrapped(stage, "1", before: "trap : TERM; "))
        let second = try stage.deploy("2", options)
        #expect(!second.errors.contains("killing"), "\(second.errors)")
        #expect(try stage.generation("1")?.state == "ended")
        try waitUntil("the first has gone") { stage.marked().count == 1 }
    }

    // MARK: - Heirs that resist

    private static let hostile = """
        import ctypes, os, signal, socket, struct, sys, time
        how, go, label = sys.argv[1:]
        listener = socket.socket(fileno=3)
        def serve(text):
            while True:
                try:
                    client = listener.accept()[0]
                    client.recv(1000)
                    client.send(b'HTTP/1.0 200 OK\\r\\n\\r\\n' + text.encode())
                    client.close()
                except OSError:
                    try:
                        listener.listen(5)
                    except OSError:
                        time.sleep(0.01)
        if how != 'none' and os.fork() == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while not os.path.exists(go):
                time.sleep(0.01)
            if how == 'cbpf':
                code = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0))
                listener.setsockopt(socket.SOL_SOCKET, 51, struct.pack('HxxxxxxQ', 1, ctypes.addressof(code)))
            elif how == 'alone':
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
            serve('left behind')
        serve(label)
        """

    /// A child that has left its parent, session and all takes the port back: by a program of its own that gives
    /// everything to the first member, or by sharing the port no more. It does so before the deploy is over.
    @Test(arguments: [("cbpf", Level.privileged), ("cbpf", .ordinary), ("alone", .privileged)])
    func hostileChild(how: String, level: Level) throws {
        let stage = try Stage(level, how == "alone" ? .v6 : .v4)
        let go = stage.box["go"]
        stage.box.write("hostile.py", Self.hostile)
        func command(_ how: String, _ label: String) throws -> [ByteString] {
            [ByteString(try Tool.require("python3")), ByteString(stage.box["hostile.py"])]
                + [how, go, label].map { ByteString($0) }
        }
        let options: [ByteString] = ["--stop-timeout", "1s"]
        try stage.deploy("1", options, command: try command(how, "first"))
        let deploy = try stage.startDeploy("2", options, command: try command("none", "second"))
        try waitUntil("it has taken over") { try stage.generation("2")?.state == "live" }
        stage.box.write("go", "")
        let outcome = try deploy.end()
        #expect(outcome.exit == 0)
        #expect(outcome.errors.contains("killing pid"), "\(outcome.errors)")
        #expect(stage.marked().map(\.pid) == (try stage.pids()))
        for _ in 0..<8 { #expect(try stage.ask().hasSuffix("second")) }
        try stage.deploy("3", options, command: try command("none", "third"))
        for _ in 0..<8 { #expect(try stage.ask().hasSuffix("third")) }
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        #expect(try sockets(of: .tcp, on: stage.port).isEmpty)
    }

    // MARK: - Root with few rights

    /// What root in a container has: no CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_NET_ADMIN or CAP_BPF.
    private static let container = [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31]

    private static let deaf = """
        import signal, socket
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        listener = socket.socket(fileno=3)
        while True:
            listener.accept()[0].close()
        """

    /// What cannot be seen is not taken for nothing: neither is a copy that resists left running, nor does a command fail
    /// that needs a member of the group.
    @Test func verbsInAContainer() throws {
        let stage = try Stage(.privileged)
        stage.capabilities = Self.container
        let options: [ByteString] = ["--steering", "cbpf", "--stop-timeout", "1s"]
        stage.box.write("deaf.py", Self.deaf)
        let deaf: [ByteString] = [ByteString(try Tool.require("python3")), ByteString(stage.box["deaf.py"])]
        try stage.deploy("1", options, command: deaf)
        try stage.deploy("2", copies: 3, options)
        #expect(try stage.generation("1")?.state == "ended")
        #expect(try holders(stage).count == 3)
        let load = try Load(stage)
        try stage.change(["scale", "web", "1"])
        #expect(try stage.pids().count == 1)
        try stage.change(["scale", "web", "2"])
        try stage.change(["restart", "web", "--copy", "0"])
        #expect(try stage.pids().count == 2)
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        try stage.expectOnly(try stage.pids())
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        #expect(try sockets(of: .tcp, on: stage.port).isEmpty)
    }

    /// The same with the command of a wrapper, whose listener cannot be seen either.
    @Test func wrapperInAContainer() throws {
        let stage = try Stage(.privileged)
        stage.capabilities = Self.container
        let options: [ByteString] = ["--steering", "cbpf", "--stop-timeout", "6s"]
        try stage.deploy("1", options, command: try wrapped(stage, "1"))
        let second = try stage.deploy("2", options)
        #expect(!second.errors.contains("killing"), "\(second.errors)")
        try waitUntil("the first has gone") { stage.marked().count == 1 }
    }

    /// Without CAP_KILL a copy of another user takes no signal. Its group is killed, if it has one, when its time is over;
    /// else it stays, and the message names what is missing.
    @Test func withoutTheRightToKill() throws {
        let stage = try Stage(.privileged)
        let groups = try MemoryGroups(stage, limits: false)
        guard groups.version == .second else { try Test.cancel("version 1 has no cgroup.kill") }
        stage.capabilities = Self.container.filter { $0 != 5 }
        let options: [ByteString] = ["--steering", "cbpf", "--stop-timeout", "1s"]
        try stage.deploy("1", options)
        try stage.deploy("2", options)
        #expect(try stage.generation("1")?.state == "ended")
        // A copy that was started before there were groups.
        let file = "\(stage.runDirectory.text)/web/2-0"
        let record = try String(contentsOfFile: file, encoding: .utf8)
        let lines = record.split(separator: "\n").filter { !$0.hasPrefix("group=") }
        try (lines.joined(separator: "\n") + "\n").write(toFile: file, atomically: true, encoding: .utf8)
        let third = try stage.deploy("3", options)
        #expect(third.errors.contains("takes no TERM: operation not permitted; that takes CAP_KILL"), "\(third.errors)")
        #expect(try stage.generation("2")?.state == "retired")
        stage.capabilities = nil
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        #expect(try sockets(of: .tcp, on: stage.port).isEmpty)
    }
}
