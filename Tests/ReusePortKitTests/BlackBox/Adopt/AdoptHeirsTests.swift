import Foundation
import Testing

@testable import ReusePortKit

/// What a program starts before it binds has the launcher's descriptors, as the program had them.
@Suite struct AdoptHeirsTests {
    /// It never used them: it is left in peace, and the copy need not be killed either.
    @Test func itIsLeftInPeace() throws {
        let stage = try Stage(.privileged, settings: [])
        func command(_ label: String) throws -> [ByteString] {
            let server = try BindingServer.node.command(stage, label).map(\.text).joined(separator: " ")
            return ["/bin/sh", "-c", ByteString("sleep 500 & echo started $!; exec \(server)")]
        }
        let options: [ByteString] = ["--pass", "adopt", "--stop-timeout", "20s"]
        try stage.deploy("1", options, command: try command("1"))
        let heir = try #require(
            stage.log.split(separator: "\n").first { $0.hasPrefix("started ") }.flatMap { pid_t($0.dropFirst(8)) })
        defer { kill(heir, SIGKILL) }
        #expect(FileManager.default.fileExists(atPath: "/proc/\(heir)/fd/100"))
        let outcome = try stage.deploy("2", options, command: try command("2"))
        #expect(!outcome.errors.contains("killing"), "\(outcome.errors)")
        #expect(outcome.errors.contains("generation 1 has "), "\(outcome.errors)")
        #expect(startTime(of: heir) != nil)
    }

    /// One that closes its listeners late is looked at once more at the end of its time.
    @Test func alsoIfItsCopyTakesItsTime() throws {
        let stage = try Stage(.privileged, settings: [])
        let script = """
            import signal, socket, subprocess, sys, time
            heir = subprocess.Popen(['sleep', '500'], close_fds=False)
            print('started', heir.pid, flush=True)
            server = socket.socket()
            server.bind(('0.0.0.0', int(sys.argv[1])))
            server.listen()
            def stop(number, frame):
                # Between two looks, which are at 3.1 s and at the end.
                time.sleep(3.4)
                server.close()
                time.sleep(600)
            signal.signal(signal.SIGTERM, stop)
            while True:
                server.accept()[0].close()
            """
        let options: [ByteString] = ["--pass", "adopt", "--stop-timeout", "4s"]
        try stage.deploy(
            "1", options,
            command: [
                ByteString(try Tool.require("python3")), "-S", "-E", "-c", ByteString(script),
                ByteString(decimal: Int(stage.port)),
            ])
        let heir = try #require(
            stage.log.split(separator: "\n").first { $0.hasPrefix("started ") }.flatMap { pid_t($0.dropFirst(8)) })
        defer { kill(heir, SIGKILL) }
        let outcome = try stage.deploy("2")
        #expect(!outcome.errors.contains("killing"), "\(outcome.errors)")
        #expect(startTime(of: heir) != nil)
        try stage.change(["terminate", "web"])
    }

    /// At the number of another dialect it may be in use as it is.
    @Test func whatHasTheNumberOfAnotherDialectIsNotShut() throws {
        let stage = try Stage(.privileged, settings: [])
        let script = """
            import os, signal, socket, sys
            server = socket.socket(fileno=3)
            os.set_inheritable(3, True)
            signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(2))
            def end(number, frame):
                print('accepted to the end', flush=True)
                os._exit(0)
            signal.signal(signal.SIGALRM, end)
            while True:
                client, _ = server.accept()
                client.close()
            """
        try stage.deploy(
            "1", ["--pass", "adopt,systemd"],
            command: [ByteString(try Tool.require("python3")), "-S", "-E", "-c", ByteString(script)])
        try stage.deploy("2")
        #expect(stage.log.contains("accepted to the end"), "\(stage.log)")
    }
}
