import Foundation
import Testing

@testable import ReusePortKit

/// The examples, as they are, with the servers that they are for.
@Suite struct ExampleTests {
    /// A file that a package brings.
    private func require(file: String, of package: String) throws {
        if access(file, R_OK) != 0 { throw try Tool.missing("\(package) is not installed") }
    }

    // MARK: Node

    @Test func nodeHTTP() throws {
        _ = try Tool.require("node")
        try ExampleStage("node-http.js").prove()
    }

    @Test func express() throws {
        _ = try Tool.require("node")
        try require(file: "/usr/share/nodejs/express/package.json", of: "node-express")
        try ExampleStage("node-express.js").prove()
    }

    /// With a stand-in, for Debian has no Fastify.
    @Test func fastify() throws {
        _ = try Tool.require("node")
        let example = try ExampleStage("node-fastify.js")
        try copyTree("\(Tool.package)/Tests/Fixtures/modules", to: "\(example.folder)/node_modules")
        try example.prove()
    }

    // MARK: Python

    @Test func pythonListenFDs() throws {
        _ = try Tool.require("python3")
        try ExampleStage("python-listen-fds.py").prove()
    }

    @Test func uvicorn() throws {
        _ = try Tool.require("uvicorn")
        try ExampleStage("asgi.py").prove()
    }

    @Test func gunicorn() throws {
        _ = try Tool.require("gunicorn")
        try ExampleStage("wsgi.py").prove()
    }

    // MARK: Proxies

    static func nginx() throws -> ExampleStage {
        _ = try Tool.require("nginx")
        let example = try ExampleStage("nginx.conf", slow: "/app/slow")
        try example.startBackend()
        return example
    }

    static func haproxy() throws -> ExampleStage {
        _ = try Tool.require("haproxy")
        let example = try ExampleStage("haproxy.cfg", slow: "/app/slow")
        try example.startBackend()
        return example
    }

    @Test func nginx() throws { try ExampleTests.nginx().prove() }

    @Test func haproxy() throws { try ExampleTests.haproxy().prove() }

    // MARK: PHP, Perl, Ruby

    /// PHP-FPM with nginx before it, which stays; Debian's name for FPM has the version in it.
    static func phpFPM() throws -> ExampleStage {
        let nginx = try Tool.require("nginx")
        let names = try FileManager.default.contentsOfDirectory(atPath: "/usr/sbin")
        guard let name = names.first(where: { $0.hasPrefix("php-fpm") }) else {
            throw try Tool.missing("php-fpm is not installed")
        }
        let example = try ExampleStage("php-fpm/php-fpm.conf")
        let box = example.box
        symlink("/usr/sbin/\(name)", box["bin/php-fpm"])
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map { "\($0)_temp_path \($0);" }
        _ = box.makeDirectory("front")
        let configuration = box.write(
            "front.conf",
            """
            daemon off; worker_processes 1; pid \(box["front"])/pid; error_log stderr;
            events { worker_connections 256; }
            http { access_log off; \(temporary.joined(separator: " "))
            server { listen 127.0.0.1:80; location / {
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME \(box["examples/php-fpm/index.php"]);
            fastcgi_pass 127.0.0.1:9000;
            } } }
            """)
        try example.startOther(
            nginx, ["-p", ByteString(box["front"]), "-e", "stderr", "-c", ByteString(configuration)])
        return example
    }

    @Test func phpFPM() throws { try ExampleTests.phpFPM().prove() }

    @Test func starlet() throws {
        _ = try Tool.require("plackup")
        try require(file: "/usr/share/perl5/Plack/Handler/Starlet.pm", of: "starlet")
        try ExampleStage("starlet.psgi").prove()
    }

    @Test func puma() throws {
        _ = try Tool.require("puma")
        try ExampleStage("puma.ru").prove()
    }

    // MARK: Compiled

    @Test func go() throws {
        if Tool.find("go") == nil { _ = try Tool.require("gccgo") }
        try ExampleStage("go-http.go").prove()
    }

    @Test func java() throws {
        _ = try Tool.require("javac")
        try ExampleStage("InheritedChannel.java").prove()
    }

    @Test func c() throws {
        _ = try Tool.require("cc")
        try ExampleStage("listen-fds.c").prove()
    }

    /// Built with this package's tests.
    @Test func swift() throws {
        let example = try ExampleStage("swift/main.swift", isBuilt: true)
        try example.place(try Tool.product("example-server"), as: "example-server")
        try example.prove()
    }

    static func swiftNIO() throws -> ExampleStage {
        let program = try Tool.example("swift-nio-server")
        let example = try ExampleStage(
            "swift-nio-server/Sources/main.swift", package: "swift-nio-server/Package.swift", isBuilt: true)
        try example.place(program, as: "swift-nio-server")
        return example
    }

    static func hummingbird() throws -> ExampleStage {
        let program = try Tool.example("hummingbird-server")
        let example = try ExampleStage(
            "hummingbird-server/Sources/main.swift", package: "hummingbird-server/Package.swift", isBuilt: true)
        try example.place(program, as: "hummingbird-server")
        return example
    }

    @Test func swiftNIO() throws { try ExampleTests.swiftNIO().prove() }

    @Test func hummingbird() throws { try ExampleTests.hummingbird().prove() }

    enum SwiftPackage: CaseIterable { case swiftNIO, hummingbird }

    /// Clients that keep their connections are told that an answer is the last one, and never ask in vain.
    @Test(arguments: SwiftPackage.allCases) func keptConnections(package: SwiftPackage) throws {
        let example = try package == .swiftNIO ? ExampleTests.swiftNIO() : ExampleTests.hummingbird()
        try example.deploy()
        let load = try Load(example.stage, requestsPerConnection: 1000, path: "/")
        for _ in 1...4 {
            try example.deploy()
            let before = load.recorded
            try waitUntil("all clients are there") { load.recorded > before + 10_000 }
        }
        let report = try load.stop()
        #expect(report.lost == 0 && report.idleRaces == 0, "\(report.summary)")
    }

    // MARK: Controls

    enum Control: CaseIterable { case node, nginx, haproxy, phpFPM, swiftNIO, hummingbird }

    /// With another stop signal than the example names, requests in flight are lost: the load would tell.
    @Test(arguments: Control.allCases) func anotherStopSignal(control: Control) throws {
        let example =
            switch control {
            case .node: try ExampleStage("node-http.js")
            case .nginx: try ExampleTests.nginx()
            case .haproxy: try ExampleTests.haproxy()
            case .phpFPM: try ExampleTests.phpFPM()
            case .swiftNIO: try ExampleTests.swiftNIO()
            case .hummingbird: try ExampleTests.hummingbird()
            }
        try example.prepare()
        let result = try example.handOver { line in
            if let named = example.example.option("--stop-signal") {
                return line.replacingOccurrences(of: "--stop-signal \(named)", with: "")
            }
            return line.replacingOccurrences(of: "deploy web", with: "deploy web --stop-signal KILL")
        }
        let slow = try #require(result.slow)
        #expect(slow.lost > 0, "\(slow.summary)")
    }
}
