import Foundation
import Testing

@testable import ReusePortKit

/// Programs that bind by themselves get the inherited socket.
@Suite struct AdoptTests {
    let box = Sandbox()

    private var user: [ByteString] { Tool.isRoot ? ["--user", "nobody"] : [] }
    private var uid: String { Tool.isRoot ? "65534" : "\(geteuid())" }
    private var node: [ByteString] {
        get throws { ["--", ByteString(try Tool.require("node")), ByteString(try box.target("listen.js"))] }
    }

    /// A port below 1024, as an ordinary user, in the way in which everybody writes it.
    @Test func nodeAtPort80() throws {
        let network = try Network(box)
        let process = try box.start(
            ["--socket", "http:0.0.0.0:80", "--user", "nobody", "--pass", "adopt"] + node + ["80"], [network.step])
        // Node asks for all addresses of both families, and believes to have them.
        #expect(try process.line() == #"ready node \#(process.pid) {"address":"::","family":"IPv6","port":80}"#)
        #expect(try curl("http://127.0.0.1/", network) == "label: node\npid: \(process.pid)\nuid: 65534\n")
        process.signal(SIGTERM)
        #expect(try process.end().exit == 0)
    }

    @Test func nodeAtPath() throws {
        let path = box["web.sock"]
        let process = try box.start(
            ["--socket", "web:unix:\(path),mode=666", "--pass", "adopt"] + user + node + [ByteString(path)])
        #expect(try process.get(.unix(path)).contains("uid: \(uid)\n"))
        process.signal(SIGTERM)
        #expect(try process.end().exit == 0)
        // Node removes it in vain: it may be another generation's by then.
        #expect(box.exists("web.sock"))
    }

    // MARK: Real servers

    /// A server in Python that unlinks the path first, changes its mode, and removes it at its end.
    @Test func pythonAtPath() throws {
        let path = box["web.sock"]
        let process = try box.start(
            ["--socket", "web:unix:\(path),mode=660", "--pass", "adopt"] + [
                "--", ByteString(try Tool.require("python3")), "-S", "-E", ByteString(try box.target("serve.py")),
                ByteString(path), "py",
            ])
        try waitUntil("its path is there") { box.exists("web.sock") }
        let inode = try #require(box.status("web.sock")?.st_ino)
        try process.waitFor("ready")
        #expect(try process.get(.unix(path)).contains("label: py\n"))
        #expect(box.status("web.sock")?.st_mode == S_IFSOCK | 0o666)
        process.signal(SIGTERM)
        #expect(try process.end().exit == 0)
        #expect(box.status("web.sock")?.st_ino == inode)
    }

    /// Each generation has a socket of its own behind the path, which none of them removes; it may bind to either name.
    @Test func generationsAtPath() throws {
        for server in ["listen.js", "serve.py"] {
            let stage = try Stage(Tool.isRoot ? .privileged : .ordinary, .unix)
            let runner: [ByteString] =
                server.hasSuffix(".js")
                ? [ByteString(try Tool.require("node"))]
                : [ByteString(try Tool.require("python3")), "-S", "-E"]
            let script = ByteString(try stage.box.target(server))
            var last: Running?
            for (label, path) in [("1", ByteString(stage.socketPath)), ("2", "{path:http}"), ("3", "{path:http}")] {
                let command = runner + [script, path, ByteString(label)]
                let next = try stage.handOver(label, ["--pass", "adopt"], command: command)[0]
                #expect(try next.get(.unix(stage.socketPath)).contains("label: \(label)\n"))
                if let last { #expect(try last.end().exit == 0) }
                #expect(try next.get(.unix(stage.socketPath)).contains("label: \(label)\n"))
                last = next
            }
        }
    }

    @Test func pythonHTTPServer() throws {
        let network = try Network(box)
        box.write("page", "a page\n")
        let process = try box.start(
            ["--socket", "http:0.0.0.0:80", "--user", "nobody", "--pass", "adopt", "--"] + [
                ByteString(try Tool.require("python3")), "-m", "http.server", "80", "-d", ByteString(box.path),
            ], [network.step])
        #expect(try curl("http://127.0.0.1/page", network) == "a page\n")
        #expect(state(of: process.pid) != "Z")
    }

    @Test func nginx() throws {
        let network = try Network(box)
        let work = box.makeDirectory("work", owner: 65534)
        let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map { "\($0)_temp_path \(work)/\($0);" }.joined(separator: "\n")
        let path = box["n.sock"]
        let configuration = box.write(
            "nginx.conf",
            """
            daemon off; worker_processes 2; pid \(work)/pid; error_log stderr;
            events { worker_connections 64; }
            http { access_log off; \(folders)
            server { listen 80; listen [::]:80; listen unix:\(path); return 200 "nginx $request_uri"; }
            server { listen 81 reuseport; return 200 "shared $request_uri"; } }
            """)
        let process = try box.start(
            [
                "--socket", "a:0.0.0.0:80", "--socket", "b:[::]:80", "--socket", "u:unix:\(path),mode=666",
                "--socket", "c:0.0.0.0:81", "--user", "nobody", "--pass", "adopt", "--",
                ByteString(try Tool.require("nginx")), "-e", "stderr", "-c", ByteString(configuration),
            ], [network.step])
        for number in 1...8 {
            #expect(try curl("http://127.0.0.1/\(number)", network) == "nginx /\(number)")
            #expect(try curl("http://[::1]/\(number)", network) == "nginx /\(number)")
            #expect(try curl("http://127.0.0.1:81/\(number)", network) == "shared /\(number)")
        }
        #expect(try process.get(.unix(path), path: "/u").contains("nginx /u"))
        process.signal(SIGQUIT)
        #expect(try process.end().exit == 0)
    }

    /// A master binds, and its workers accept.
    @Test func gunicorn() throws {
        let network = try Network(box)
        _ = try box.target("app.py")
        let process = try box.start(
            ["--socket", "http:127.0.0.1:80", "--user", "nobody", "--pass", "adopt", "--"] + [
                ByteString(try Tool.require("gunicorn")), "--chdir", ByteString(box.path), "--worker-tmp-dir",
                "/dev/shm", "-w", "3", "-b", "127.0.0.1:80", "app:wsgi",
            ], [network.step])
        #expect(try curl("http://127.0.0.1/x", network) == "wsgi \(process.pid) 65534 /x")
        process.signal(SIGTERM)
        #expect(try process.end().exit == 0)
    }

    /// Many processes and many threads, all of which serve what one of them has adopted, or each for itself.
    @Test(arguments: ["Forking", "Threading"]) func crowds(kind: String) throws {
        let network = try Network(box)
        let code = """
            import http.server, socketserver
            class Server(socketserver.\(kind)MixIn, http.server.HTTPServer): pass
            class Handler(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    self.send_response(200); self.end_headers(); self.wfile.write(b'served')
                def log_message(self, *_): pass
            # Workers that were there before anybody has bound: each adopts for itself.
            for _ in range(3):
                if os.fork() == 0: break
            server = Server(('127.0.0.1', 80), Handler)
            print('ready', which(server.socket))
            server.serve_forever()
            """
        let process = try box.start(
            ["--socket", "http:127.0.0.1:80", "--user", "nobody", "--pass", "adopt", "--"] + [
                ByteString(try Tool.require("python3")), "-S", "-E", ByteString(try box.target("adopting.py")),
                ByteString(code),
            ], [network.step])
        for _ in 0..<4 { #expect(try process.line() == "ready 0") }
        let outcome = try box.start(
            program: Tool.require("curl"), ["-s", "-Z", "http://127.0.0.1/[1-200]"], [network.step]
        ).end()
        #expect(outcome.output.text == String(repeating: "served", count: 200))
    }

    /// Wrappers in Node close on exec what they have inherited; not so far up.
    @Test func throughWrappers() throws {
        let network = try Network(box)
        let wrapper = box.write(
            "wrapper.js",
            "require('child_process').spawn(process.argv[2], process.argv.slice(3), { stdio: 'inherit' })")
        let process = try box.start(
            ["--socket", "http:127.0.0.1:80", "--user", "nobody", "--pass", "adopt", "--"] + [
                "/bin/sh", "-c", "\"$@\"; exit", "sh", ByteString(try Tool.require("node")), ByteString(wrapper),
            ] + node.dropFirst() + ["127.0.0.1:80"], [network.step])
        try process.waitFor("ready")
        #expect(try curl("http://127.0.0.1/", network).contains("uid: 65534\n"))
    }

    /// The launcher, started by a program that was started by one, binds for itself.
    @Test func launcherInTarget() throws {
        let network = try Network(box)
        let launcher = ByteString(try box.launcher())
        let process = try box.start(
            ["--socket", "http:127.0.0.1:80", "--pass", "adopt", "--", launcher] + [
                "--socket", "http:127.0.0.1:80", "--pass", "adopt", "--",
            ] + node.dropFirst() + ["127.0.0.1:80"], [network.step])
        try process.waitFor("ready")
        #expect(try curl("http://127.0.0.1/", network).contains("pid: \(process.pid)\n"))
    }

    /// Together with other dialects the numbers are theirs, and a program that uses one of them does not lose it.
    @Test func withOtherDialects() throws {
        let network = try Network(box)
        let code = """
            s = socket.socket(fileno=3)
            s.listen()
            print(os.environ['LISTEN_FDS'], FD, which(3), bound(tcp4(), '127.0.0.1', 80), which(3))
            """
        let outcome = try box.run(
            ["--socket", "http:127.0.0.1:80", "--pass", "adopt,systemd", "--"] + [
                ByteString(try Tool.require("python3")), "-S", "-E", ByteString(try box.target("adopting.py")),
                ByteString(code),
            ], [network.step])
        #expect(outcome.output.text == "1 3 0 0 0\n", "\(outcome.errors)")
    }

    /// UDP has no listen(2): what is bound serves.
    @Test func datagrams() throws {
        let network = try Network(box)
        let code = """
            s = udp4()
            s.setsockopt(socket.IPPROTO_IP, 8, 1)
            print(bound(s, '0.0.0.0', 53), which(FD), s.getsockopt(socket.IPPROTO_IP, 8))
            c = udp4()
            c.sendto(b'question', ('127.0.0.1', 53))
            print(s.recv(100).decode())
            """
        let outcome = try box.run(
            ["--socket", "dns:udp:0.0.0.0:53", "--user", "nobody", "--pass", "adopt", "--"] + [
                ByteString(try Tool.require("python3")), "-S", "-E", ByteString(try box.target("adopting.py")),
                ByteString(code),
            ], [network.step])
        #expect(outcome.output.text == "0 None 1\nquestion\n", "\(outcome.errors)")
    }

    private func curl(_ place: String, _ network: Network) throws -> String {
        let outcome = try box.start(
            program: Tool.require("curl"),
            ["-s", "-g", "--retry", "20", "--retry-connrefused", "--max-time", "30", ByteString(place)], [network.step]
        ).end()
        #expect(outcome.exit == 0, "\(place) \(outcome)")
        return outcome.output.text
    }
}
