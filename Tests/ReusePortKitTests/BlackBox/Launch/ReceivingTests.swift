import Foundation
import Testing

@testable import ReusePortKit

/// The receiving side: a program of its own, for it takes over descriptors by number.
@Suite struct ReceivingTests {
    let box = Sandbox()

    private func receiver() throws -> String { try Tool.product("receiver") }

    private func lines(_ outcome: Outcome) -> [String] { outcome.output.text.split(separator: "\n").map(String.init) }

    private func received(_ options: [ByteString], _ arguments: [ByteString] = []) throws -> [String] {
        let outcome = try box.run(options + ["--", ByteString(try receiver())] + arguments)
        #expect(outcome.errors == "")
        #expect(outcome.exit == 0)
        return lines(outcome)
    }

    private func alone(_ environment: [ByteString], _ steps: [Step] = [.umask("022")]) throws -> [String] {
        lines(try box.start(program: try receiver(), [], environment: environment, steps).end())
    }

    @Test func everyKind() throws {
        let port = try ReservedPort()
        box.write("data", "")
        let lines = try received([
            "--socket", "web:127.0.0.1:\(port.number)", "--socket", "later:[::1]:\(port.number),listen=no",
            "--socket", "dns:udp:127.0.0.1:\(port.number)", "--socket", "local:unix:\(box["u.sock"])",
            "--file", "key:\(box["data"])",
        ])
        #expect(
            lines == [
                "count 5", "web listener 127.0.0.1:\(port.number) 3 1", "later bound [::1]:\(port.number) 4 1",
                "dns datagram 127.0.0.1:\(port.number) 5 1", "local listener \(box["u.sock"]) 6 1", "key file - 7 1",
                "open -1",
            ])
    }

    @Test func byName() throws {
        let options: [ByteString] = ["--socket", "a:127.0.0.1:0,listen=no", "--socket", "b:unix:\(box["u.sock"])"]
        #expect(
            try received(options, ["b"]).filter { !$0.hasPrefix("a ") }
                == ["b listener \(box["u.sock"]) 4 1", "taken 4", "count 1", "open -1"])
        #expect(try received(["--socket", "b:unix:\(box["u.sock"])"], ["c"]).first == "none")
    }

    @Test func nothingAnnounced() throws {
        #expect(try alone([]) == ["count 0", "open -1"])
        #expect(try alone(["LISTEN_FDS=1"]) == ["count 0", "open -1"])
    }

    /// What was meant for another process is left alone, open, and the children do not hear of it either.
    @Test func meantForAnother() throws {
        #expect(
            try alone(["LISTEN_FDS=1", "LISTEN_PID=1", "LISTEN_FDNAMES=a"], [.open(3, "/dev/null")]) == [
                "count 0", "open 0",
            ])
    }

    @Test(arguments: ["LISTEN_PID=abc", "LISTEN_PID=", "LISTEN_PID=-1", "LISTEN_PID=1x"]) func oddProcess(entry: String)
        throws
    {
        let lines = try alone(["LISTEN_FDS=1", ByteString(entry)])
        #expect(lines.first?.hasPrefix("error ") == true, "\(lines)")
    }

    @Test func oddCount() throws {
        for value in ["x", "", "-1", "99999999999999999999", "1 "] {
            let script = "export LISTEN_PID=$$; exec \"$0\""
            let process = try box.start(
                program: "/bin/sh", ["-c", ByteString(script), ByteString(try receiver())],
                environment: ["LISTEN_FDS=\(value)"])
            let lines = lines(try process.end())
            #expect(lines.first?.hasPrefix("error ") == true, "\(value): \(lines)")
        }
    }

    @Test func announcedButClosed() throws {
        let script = "export LISTEN_PID=$$; exec \"$0\""
        let process = try box.start(
            program: "/bin/sh", ["-c", ByteString(script), ByteString(try receiver())], environment: ["LISTEN_FDS=2"],
            [.open(3, "/dev/null")])
        #expect(
            lines(try process.end()).first
                == "error unable to take over descriptor 4 of LISTEN_FDS: bad file descriptor")
    }

    /// Fewer names than descriptors, and none at all.
    @Test func namesThatAreMissing() throws {
        for (names, expected) in [("LISTEN_FDNAMES=a", "a"), ("X=1", "unknown"), ("LISTEN_FDNAMES=", "unknown")] {
            let script = "export LISTEN_PID=$$; exec \"$0\""
            let process = try box.start(
                program: "/bin/sh", ["-c", ByteString(script), ByteString(try receiver())],
                environment: ["LISTEN_FDS=2", ByteString(names)], [.open(3, "/dev/null"), .open(4, "/dev/null")])
            #expect(lines(try process.end()) == ["count 2", "\(expected) file - 3 1", "unknown file - 4 1", "open -1"])
        }
    }

    // MARK: - Telling

    /// What a server says at NOTIFY_SOCKET, as with sd_notify(3).
    @Test func itTells() throws {
        let path = box["notify"]
        let listener = try Endpoint.bound(.unix(path), type: datagramSocket)
        let outcome = try box.start(
            program: try receiver(), ["--tell", "up"], environment: ["NOTIFY_SOCKET=\(path)"], [.umask("022")]
        ).end()
        #expect(lines(outcome) == ["told"])
        #expect(try listener.receive() == "READY=1\nSTATUS=up\n")
        #expect(try listener.receive() == "STOPPING=1\n")
    }

    @Test func nobodyWaits() throws {
        for environment: [ByteString] in [[], ["NOTIFY_SOCKET="], ["NOTIFY_SOCKET=vsock:1:2"]] {
            let outcome = try box.start(
                program: try receiver(), ["--tell", "up"], environment: environment, [.umask("022")]
            ).end()
            #expect(lines(outcome) == ["nobody waits"])
        }
        let path = box["gone"]
        let outcome = try box.start(
            program: try receiver(), ["--tell", "up"], environment: ["NOTIFY_SOCKET=\(path)"], [.umask("022")]
        ).end()
        #expect(lines(outcome) == ["error unable to notify NOTIFY_SOCKET=\(path): no such file or directory"])
    }
}
