import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// A probe reaches the listener that it is meant for, or the handoff says why it cannot.
@Suite struct ProbeTests {
    /// Never accepts.
    private static let deaf: [ByteString] = ["/bin/sleep", "600"]

    private func stage(_ level: Level, _ socket: ByteString, settings: [String] = []) throws -> Stage {
        let stage = try Stage(level, settings: settings)
        stage.otherSocket = socket
        return stage
    }

    /// Another app of the same user, which serves for as long as the stage lives.
    private func serveBeside(_ stage: Stage, at address: ByteString) throws {
        let words: [ByteString] = ["--run-dir", stage.runDirectory, "--log", ByteString(stage.logPath)]
        let server = try stage.sampleServer("other")
        let outcome = try stage.launch(["deploy", "other"] + words + ["--socket", "http:\(address)", "--"] + server)
            .end()
        #expect(outcome.exit == 0, "\(outcome.errors)")
    }

    private func lastLine(_ outcome: Outcome) -> String {
        outcome.errors.split(separator: "\n").last.map(String.init) ?? ""
    }

    // MARK: - Beside more specific listeners

    static let pairs: [(wildcard: ByteString, specific: ByteString)] = [
        ("0.0.0.0:8080", "127.0.0.1:8080"), ("*:8080", "127.0.0.1:8080"), ("*:8080", "0.0.0.0:8080"),
    ]

    /// Both sockets of one app, each of which has to be reached.
    @Test(arguments: Level.allCases, ProbeTests.pairs) func ofOneApp(
        level: Level, pair: (wildcard: ByteString, specific: ByteString)
    ) throws {
        let stage = try stage(level, "http:\(pair.wildcard)")
        try stage.deploy("1", ["--socket", "more:\(pair.specific)", "--ready-timeout", "5s"])
        try stage.deploy(
            "2", ["--socket", "more:\(pair.specific)", "--ready", "http:http:/", "--ready-timeout", "5s"])
        #expect(try stage.generation("2")?.state == "live")
    }

    @Test(arguments: Level.allCases, ["accept", "http:http:/"] as [ByteString]) func ofAnotherApp(
        level: Level, readiness: ByteString
    ) throws {
        let stage = try stage(level, "http:0.0.0.0:8080")
        try serveBeside(stage, at: "127.0.0.1:8080")
        try stage.deploy("1", ["--ready", readiness])
        let outcome = try stage.deploy(
            "2", ["--ready", readiness, "--ready-timeout", "500ms"], command: Self.deaf, expect: 1)
        #expect(lastLine(outcome).contains("copy 0: not ready after "), "\(outcome.errors)")
        #expect(try stage.ask(at: "127.0.0.2:8080").contains("label: 1"))
        #expect(try stage.ask(at: "127.0.0.1:8080").contains("label: other"))
    }

    /// IPv6 has one loopback address only.
    @Test(arguments: Level.allCases) func nothingIsLeft(level: Level) throws {
        let stage = try stage(level, "http:[::]:8080")
        try serveBeside(stage, at: "[::1]:8080")
        let outcome = try stage.deploy("1", ["--ready-timeout", "30s"], expect: 1)
        #expect(
            lastLine(outcome).hasSuffix(
                " (sample-server) stands in front of it at [::1]:8080; stop that, or use --ready notify, fd:N, exec:COMMAND or none"
            ),
            "\(outcome.errors)")
        try stage.deploy("2", ["--ready", "none"])
    }

    // MARK: - Where no connection gets to

    @Test func withoutIPv6() throws {
        let stage = try stage(.privileged, "http:[::]:8080", settings: ["net/ipv6/conf/all/disable_ipv6=1"])
        let outcome = try stage.deploy("1", ["--ready-timeout", "30s"], expect: 1)
        #expect(
            lastLine(outcome).hasSuffix(
                "a probe to socket http ([::]:8080): cannot assign requested address; see ip address, or use "
                    + "--ready notify, fd:N, exec:COMMAND or none"),
            "\(outcome.errors)")
        stage.otherSocket = "http:*:8080"
        try stage.deploy("2")
        let absent = try stage.deploy(
            "3", steps: [.deny(AF_INET6, .familyNotSupported)], expect: Failure.Code.system.rawValue)
        #expect(lastLine(absent).hasSuffix("; without IPv6 write 0.0.0.0:PORT"), "\(absent.errors)")
    }

    @Test func loopbackIsDown() throws {
        let stage = try Stage(.privileged, .v4)
        stage.otherSocket = "http:0.0.0.0:8080"
        let words = try stage.deployWords("1", copies: nil, ["--ready-timeout", "30s"], nil)
        let outcome = try stage.box.start(
            program: try Tool.require("unshare"), ["--net", ByteString(try stage.box.launcher())] + words,
            environment: Sandbox.environment + [stage.mark]
        ).end()
        #expect(outcome.exit == 1)
        #expect(lastLine(outcome).contains("; see ip address, or use --ready"), "\(outcome.errors)")
    }

    @Test(arguments: ["192.0.2.1", "[2001:db8::1]"] as [ByteString]) func addressIsNotThere(host: ByteString) throws {
        let stage = try stage(.privileged, "http:\(host):8080,freebind")
        let outcome = try stage.deploy("1", ["--ready-timeout", "30s"], expect: 1)
        #expect(
            lastLine(outcome).hasSuffix("; see ip address, or use --ready notify, fd:N, exec:COMMAND or none"),
            "\(outcome.errors)")
    }

    /// Root has ports of its own.
    @Test(arguments: Level.allCases) func portsAreTaken(level: Level) throws {
        let stage = try stage(
            level, "http:127.0.0.1:8080", settings: ["net/ipv4/ip_local_port_range=50000 50003"])
        let taker = try stage.box.start(
            program: try Tool.require("python3"),
            [
                "-c",
                """
                import socket, time
                taken = [socket.socket() for _ in range(4)]
                for port, one in enumerate(taken): one.bind(("127.0.0.1", 50000 + port))
                print("taken", flush=True)
                time.sleep(600)
                """,
            ], stage.inNetwork)
        try taker.waitFor("taken")
        let outcome = try stage.deploy("1", expect: level == .privileged ? 0 : 1)
        if level == .ordinary {
            #expect(
                lastLine(outcome).contains("; widen net.ipv4.ip_local_port_range, or use --ready"),
                "\(outcome.errors)")
        }
    }

    // MARK: - By a command

    /// What the command reaches is not what clients reach meanwhile.
    @Test(arguments: Level.allCases, [Site.v4, .dualStack, .unix]) func command(level: Level, site: Site) throws {
        let stage = try Stage(level, site, settings: [])
        try stage.deploy("1")
        let seen = "\(stage.home)/seen"
        // The answer, and what is left of a connection whose end is closed for sending.
        let script = """
            import os, socket
            host, port = os.environ["REUSEPORT_EXEC_PROBE_http"].split(":")
            probe = socket.create_connection((host, int(port)))
            probe.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            probe.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: probe.recv(4096), b""))
            open("\(seen)", "ab").write(answer)
            raise SystemExit(b"label: 2" not in answer)
            """
        stage.box.write("ask.py", script)
        try stage.deploy("2", ["--ready", "exec:\(try Tool.require("python3")) \(stage.box["ask.py"])"])
        #expect(try String(contentsOfFile: seen, encoding: .utf8).components(separatedBy: "label: ").count == 2)
        #expect(try stage.ask().contains("label: 2"))
    }

    /// Only the user who deploys gets through.
    @Test func commandOfAnotherUser() throws {
        let stage = try Stage(.privileged, .v4, settings: [])
        let ask = "curl -sS -m 5 $REUSEPORT_EXEC_PROBE_http"
        let other = "setpriv --reuid 65534 --regid 65534 --clear-groups \(ask)"
        try stage.deploy("1", ["--ready", "exec:! \(other) && \(ask)", "--ready-timeout", "10s"])
    }

    /// What the manual shows, and the short form of it.
    @Test(
        arguments: [
            "https:web-1:/a'b,host=example.org,status=401", "https:web-1:/,status=400-499,proxy",
            "exec:curl -sSk -o /dev/null --connect-to \"::${REUSEPORT_EXEC_PROBE_web_1:?}\" https://example.org/",
            "exec:openssl s_client -servername example.org -connect \"${REUSEPORT_EXEC_PROBE_web_1:?}\"",
        ] as [ByteString])
    func overTLS(readiness: ByteString) throws {
        let stage = try stage(.privileged, "web-1:0.0.0.0:8080")
        let certificate = stage.box["certificate.pem"]
        let made = try Sandbox.plainRun([
            try Tool.require("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-subj", "/CN=example.org", "-keyout", certificate, "-out", certificate,
        ])
        #expect(made.exit == 0, "\(made.errors)")
        stage.box.write(certificate, [UInt8](try Data(contentsOf: URL(fileURLWithPath: certificate))), mode: 0o644)
        let proxy = readiness.hasSuffix("proxy")
        let server = """
            import socket, ssl
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain("\(certificate)")
            listener = socket.socket(fileno=3)
            while True:
                client, _ = listener.accept()
                try:
                    if \(proxy ? "True" : "False"):
                        line = b""
                        while not line.endswith(b"\\r\\n"): line += client.recv(1)
                        print(line, flush=True)
                        if not line.startswith(b"PROXY TCP4 127.0.0.1 "): continue
                    with context.wrap_socket(client, server_side=True) as client:
                        request = client.recv(4096)
                        print(request, flush=True)
                        client.sendall(b"HTTP/1.1 401 No\\r\\nContent-Length: 0\\r\\n\\r\\n")
                except OSError as error:
                    print(error, flush=True)
                client.close()
            """
        stage.box.write("server.py", server)
        try stage.deploy(
            "1", ["--ready", readiness, "--ready-timeout", "10s"],
            command: [ByteString(try Tool.require("python3")), ByteString(stage.box["server.py"])])
        if readiness.hasPrefix("https:web-1:/a'b") {
            #expect(stage.log.contains("GET /a%27b HTTP") && stage.log.contains("Host: example.org"), "\(stage.log)")
        }
        if proxy { #expect(stage.log.contains("PROXY TCP4 127.0.0.1 ") && stage.log.contains("Host: localhost")) }
    }
}
