import Foundation
import Testing

@testable import ReusePortKit

/// Servers as people run them, each answering real requests on a socket that it inherited.
@Suite struct RealTargetTests {
    let box = Sandbox()

    /// The options that make root's tests run the server as somebody else; nothing for others.
    private var user: [ByteString] { Tool.isRoot ? ["--user", "nobody"] : [] }
    private var uid: String { Tool.isRoot ? "65534" : "\(geteuid())" }

    private func copy(_ name: String) throws -> ByteString { ByteString(try box.target(name)) }

    private func tool(_ name: String) throws -> ByteString { ByteString(try Tool.require(name)) }

    /// Python without what the caller's environment and the site's configuration would add.
    private func python(_ script: String) throws -> [ByteString] {
        [try tool("python3"), "-S", "-E", try copy(script)]
    }

    // MARK: Node

    @Test(arguments: [["{fd:http}"], []] as [[ByteString]])
    func node(arguments: [ByteString]) throws {
        let port = try ReservedPort()
        let process = try box.start(
            ["--socket", "http:127.0.0.1:\(port.number)"] + user + ["--", try tool("node"), try copy("server.js")]
                + arguments)
        for path in ["/a", "/b"] {
            let answer = try process.get(.v4(port.number), path: path)
            #expect(
                answer.contains(#"{"server":"node","pid":\#(process.pid),"uid":\#(uid),"path":"\#(path)"}"#),
                "\(answer)")
        }
    }

    @Test func nodeDualStack() throws {
        // Reserved for both families: the launcher's socket joins this one.
        let port = try ReservedPort()
        let process = try box.start([
            "--socket", "http:*:\(port.number)", "--", try tool("node"), try copy("server.js"),
        ])
        #expect(try process.get(.v4(port.number), path: "/4").contains(#""path":"/4""#))
        #expect(try process.get(.v6(port.number), path: "/6").contains(#""path":"/6""#))
    }

    @Test func nodeChannel() throws {
        let path = box["app.sock"]
        let process = try box.start(
            [
                "--socket", "web:unix:\(path),mode=600", "--pass", "nodesockd", "--", try tool("node"),
                try copy("channel.js"), "{fd:web}",
            ])
        for _ in 0..<3 {
            let answer = try process.get(.unix(path))
            #expect(answer.contains(#"{"sent":true,"connected":true,"disconnected":0,"on":"\#(path)"}"#), "\(answer)")
        }
    }

    // MARK: nginx and haproxy

    private func nginxConfiguration(_ server: String) -> ByteString {
        // A user line would only be warned about when the master is no longer root.
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map { "\($0)_temp_path \(box["work"])/\($0);" }.joined(separator: "\n")
        _ = box.makeDirectory("work", owner: Tool.isRoot ? 65534 : nil)
        return ByteString(
            box.write(
                "nginx.conf",
                """
                daemon off; worker_processes 1; pid \(box["work"])/pid; error_log stderr;
                events { worker_connections 64; }
                http { access_log off; \(temporary)
                \(server) }
                """))
    }

    @Test func nginx() throws {
        let nginx = try tool("nginx")
        let one = try ReservedPort()
        let two = try ReservedPort()
        let unix = box["n.sock"]
        let configuration = nginxConfiguration(
            """
            server { listen 127.0.0.1:\(one.number); return 200 "one $request_uri"; }
            server { listen 127.0.0.1:\(two.number); listen unix:\(unix); return 200 "two $request_uri"; }
            """)
        let process = try box.start(
            [
                "--socket", "a:127.0.0.1:\(one.number)", "--socket", "b:127.0.0.1:\(two.number)",
                "--socket", "u:unix:\(unix),mode=666",
            ] + user + ["--pass", "nginx", "--", nginx, "-e", "stderr", "-c", configuration])
        #expect(try process.get(.v4(one.number), path: "/x").contains("one /x"))
        #expect(try process.get(.v4(two.number), path: "/y").contains("two /y"))
        #expect(try process.get(.unix(unix), path: "/z").contains("two /z"))
        // It took them over and did not bind its own: nobody could not have replaced the path of root's.
        let links = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process.pid)/fd")
        for fd in ["3", "4", "5"] {
            #expect(links.contains(fd))
            #expect(
                try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process.pid)/fd/\(fd)").hasPrefix(
                    "socket:"))
        }
    }

    @Test func unixSocketBehindNginx() throws {
        let nginx = try tool("nginx")
        let path = box["app.sock"]
        let owner: ByteString = Tool.isRoot ? ",owner=nobody,group=daemon" : ""
        let app = try box.start(
            ["--socket", "app:unix:\(path),mode=620\(owner)", "--"] + python("unix_http.py") + ["{fd:app}"])
        // nginx does not wait for what is behind it.
        #expect(try app.get(.unix(path), path: "/direct").contains("unix \(app.pid) /direct"))
        let port = try ReservedPort()
        let configuration = nginxConfiguration(
            "server { listen 127.0.0.1:\(port.number); location / { proxy_pass http://unix:\(path); } }")
        let process = try box.start(
            ["--socket", "http:127.0.0.1:\(port.number)"] + user + [
                "--pass", "nginx", "--", nginx, "-e", "stderr", "-c", configuration,
            ])
        #expect(try process.get(.v4(port.number), path: "/through").contains("unix \(app.pid) /through"))
        let status = try #require(box.status("app.sock"))
        #expect(status.st_mode == S_IFSOCK | 0o620)
        if Tool.isRoot {
            #expect(status.st_uid == 65534)
            #expect(status.st_gid == getgrnam("daemon").pointee.gr_gid)
        }
    }

    private func haproxy(_ bind: String, _ options: [ByteString]) throws {
        let haproxy = try tool("haproxy")
        let port = try ReservedPort()
        let configuration = box.write(
            "haproxy.cfg",
            """
            defaults
                mode http
                timeout client 30s
                timeout connect 30s
                timeout server 30s
            frontend web
                bind \(bind)
                http-request return status 200 content-type text/plain string "haproxy says hello"

            """)
        let process = try box.start(
            ["--socket", "http:127.0.0.1:\(port.number)"] + user + options
                + ["--", haproxy, "-db", "-f", ByteString(configuration)])
        #expect(try process.get(.v4(port.number)).contains("haproxy says hello"))
    }

    @Test func haproxyByEnvironment() throws {
        try haproxy("fd@${WEB}", ["--env", "WEB={fd:http}"])
    }

    @Test func haproxyByNumber() throws {
        try haproxy("fd@3", [])
    }

    // MARK: Python

    @Test func uvicorn() throws {
        let uvicorn = try tool("uvicorn")
        let port = try ReservedPort()
        _ = try copy("app.py")
        let process = try box.start(
            ["--socket", "http:127.0.0.1:\(port.number)"] + user
                + ["--", uvicorn, "--app-dir", ByteString(box.path), "--fd", "{fd:http}", "app:asgi"])
        #expect(try process.get(.v4(port.number), path: "/p").contains("asgi \(process.pid) \(uid) /p"))
    }

    @Test func gunicorn() throws {
        let gunicorn = try tool("gunicorn")
        let port = try ReservedPort()
        _ = try copy("app.py")
        let process = try box.start(
            ["--socket", "http:127.0.0.1:\(port.number)"] + user
                + ["--", gunicorn, "--chdir", ByteString(box.path), "--worker-tmp-dir", "/dev/shm", "app:wsgi"])
        #expect(try process.get(.v4(port.number), path: "/p").contains("wsgi \(process.pid) \(uid) /p"))
    }

    @Test func listenContract() throws {
        let tcp = try ReservedPort()
        let six = try ReservedPort(family: AF_INET6)
        let path = box["c.sock"]
        let process = try box.start(
            [
                "--socket", "web:127.0.0.1:\(tcp.number)", "--socket", "six:[::1]:\(six.number)",
                "--socket", "dns:udp:127.0.0.1:0", "--socket", "local:unix:\(path),mode=666",
            ] + user + ["--"] + python("listen_fds.py"))
        func ask(_ place: Place) throws -> String {
            let endpoint = try process.connect(place)
            try endpoint.send("hello")
            return try endpoint.receive()
        }
        #expect(try ask(.v4(tcp.number)) == "web \(process.pid) \(uid) hello")
        #expect(try ask(.v6(six.number)) == "six \(process.pid) \(uid) hello")
        #expect(try ask(.unix(path)) == "local \(process.pid) \(uid) hello")
    }

    @Test func udpEcho() throws {
        let python = try python("listen_fds.py")
        // A UDP reservation would be a member of the group and get its share of the datagrams, so the target tells
        // the port: through a template, before anything is sent.
        let process = try box.start(
            ["--socket", "dns:udp:127.0.0.1:0"] + user
                + ["--", "/bin/sh", "-c", "echo \"$1\"; shift; exec \"$@\"", "sh", "{port:dns}"] + python)
        let line = try process.line()
        let port = try #require(line.flatMap { UInt16($0) })
        let endpoint = try Endpoint.connect(.v4(port), type: datagramSocket)
        for word in ["one", "two", "three"] {
            try endpoint.send(word)
            #expect(try endpoint.receive() == "dns \(process.pid) \(uid) \(word)")
        }
    }

    @Test func inetdService() throws {
        let port = try ReservedPort()
        let process = try box.start(
            ["--socket", "x:127.0.0.1:\(port.number)"] + user + ["--pass", "inetd", "--"] + python("inetd_wait.py"))
        let endpoint = try process.connect(.v4(port.number))
        try endpoint.send("hello")
        #expect(try endpoint.receiveAll() == "inetd \(process.pid) hello")
    }

    /// Server::Starter's own client library reads what we wrote.
    @Test func serverStarterLibrary() throws {
        let perl = try tool("perl")
        let check = try Sandbox.plainRun([perl.text, "-MServer::Starter", "-e", "1"])
        if check.exit != 0 { throw try Tool.missing("Server::Starter is not installed") }
        let path = box["s.sock"]
        let script = """
            use Server::Starter qw(server_ports); my $p = server_ports();
            print join(" ", map { "$_=$p->{$_}" } sort keys %$p), "\\n";
            """
        let outcome = try box.run([
            "--socket", "a:127.0.0.1:0", "--socket", "u:unix:\(path)", "--pass", "server-starter", "--", perl, "-e",
            ByteString(script), "{port:a}",
        ])
        #expect(outcome.errors == "")
        let parts = outcome.output.text.split(separator: " ")
        #expect(parts.count == 2)
        #expect(parts.first?.hasPrefix("\(path)=4") == true || parts.last?.hasPrefix("\(path)=4") == true, "\(parts)")
        #expect(parts.contains { $0.hasPrefix("127.0.0.1:") && $0.contains("=3") }, "\(parts)")
    }

    /// Servers of different habits behind one command line: the one that is there picks what it knows.
    @Test func severalDialects() throws {
        let port = try ReservedPort()
        _ = try copy("app.py")
        let process = try box.start(
            ["--socket", "http:127.0.0.1:\(port.number)"] + user + [
                "--pass", "systemd,nginx,einhorn,unicorn,server-starter", "--", try tool("node"), try copy("server.js"),
            ])
        #expect(try process.get(.v4(port.number)).contains("\"pid\":\(process.pid)"))
    }

    // MARK: Sharing

    /// Two servers on one port, and each gets its own connections.
    @Test func twoShareAPort() throws {
        let port = try ReservedPort()
        let python = try python("listen_fds.py")
        let options: [ByteString] = ["--socket", "web:127.0.0.1:\(port.number)", "--"] + python
        let processes = [try box.start(options), try box.start(options)]
        let pids = Set(processes.map { "\($0.pid)" })
        var seen: Set<String> = []
        try waitUntil("both have answered") {
            let endpoint = try processes[0].connect(.v4(port.number))
            try endpoint.send("x")
            seen.insert(String(try endpoint.receive().split(separator: " ")[1]))
            return seen == pids
        }
    }
}
