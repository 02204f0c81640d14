import Foundation
import Testing

@testable import ReusePortKit

/// docs/from-nodesockd.md
@Suite struct FromNodesockdTests {
    /// A program as its documentation has it: nothing in it knows of the launcher.
    private let script = """
        let resume;
        const resumed = process.env.NODESOCKD_SUSPENDED === 'true' ? new Promise((done) => { resume = done; }) : null;
        const server = require('http').createServer(async (request, response) => {
            await resumed;
            response.end(`label: ${process.env.LABEL}\\npid: ${process.pid}\\n`);
        });
        server.listen(process.env.LISTEN_ON, () => process.send('online'));
        process.on('message', (message) => {
            if (message === 'resume') resume();
            if (message === 'shutdown') server.close(() => process.exit(0));
        });

        """

    /// A program that uses version 2 of the library: its messages are in envelopes, and others are not heeded.
    @Test func versionTwo() throws {
        let stage = try Stage(.privileged, .unix)
        let program = stage.box.write(
            "app.js",
            """
            const { NODESOCKD_WORKER_ID: id, NODESOCKD_SUSPENDED, NODESOCKD_SOCKET_PATH: path } = process.env;
            let resume, suspended = NODESOCKD_SUSPENDED === 'true';
            const resumed = suspended ? new Promise((done) => { resume = done; }) : null;
            const server = require('http').createServer(async (request, response) => {
                await resumed;
                response.end(`label: app\\npid: ${process.pid}\\n`);
            });
            const data = { id, pid: process.pid, suspended };
            server.listen(path, () => process.send({ type: 'online', data }));
            process.on('SIGTERM', () => {});
            process.on('message', (message) => {
                if (!message || typeof message.type !== 'string') return;
                if (message.type === 'resume') resume();
                if (message.type === 'shutdown') { process.disconnect(); server.close(() => process.exit(0)); }
            });

            """)
        try stage.expectHandovers(
            copies: 1, times: 2, ["--pass", "nodesockd2"],
            command: [ByteString(try Tool.require("node")), ByteString(program)])
        try stage.change(["suspend", "web"])
        let client = try stage.request()
        try stage.change(["resume", "web"])
        #expect(try client.end().output.text.contains("pid: "))
        try stage.expectOnly(try stage.pids())
    }

    /// Three workers behind nginx: replaced, and suspended meanwhile, under load.
    @Test func behindNginx() throws {
        let stage = try Stage(.privileged)
        let paths = (0..<3).map { "\(stage.home)/app.\($0).sock" }
        _ = stage.box.makeDirectory("work", owner: 65534)
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map { "\($0)_temp_path \(stage.box["work"])/\($0);" }.joined(separator: " ")
        let configuration = stage.box.write(
            "nginx.conf",
            """
            daemon off; worker_processes 1; pid \(stage.box["work"])/pid; error_log stderr;
            events { worker_connections 1024; }
            http { access_log off; \(temporary)
                upstream app { \(paths.map { "server unix:\($0);" }.joined(separator: " ")) }
                server { listen 127.0.0.1:\(stage.port); location / { proxy_pass http://app; } }
            }
            """)
        let program = ByteString(stage.box.write("app.js", script))
        func words(_ label: String) throws -> [ByteString] {
            [
                "deploy", "web", "--run-dir", stage.runDirectory, "--socket",
                "http:unix:\(ByteString(stage.home))/app.{copy}.sock,mode=666", "--user",
                "nobody", "--copies", "3", "--pass", "nodesockd", "--env", "LABEL=\(label)", "--log",
                ByteString(stage.logPath), "--", ByteString(try Tool.require("node")), program,
            ]
        }
        func deploy(_ label: String) throws {
            let outcome = try stage.launch(try words(label)).end()
            try #require(outcome.exit == 0, "\(outcome.errors)")
        }
        try deploy("1")
        let nginx = try stage.box.start(
            [
                "--socket", stage.socket, "--user", "nobody", "--pass", "nginx", "--",
                ByteString(try Tool.require("nginx")),
            ]
                + ["-e", "stderr", "-c", ByteString(configuration)])
        _ = try nginx.get(.v4(stage.port))
        let load = try Load(stage)
        for label in ["2", "3"] { try deploy(label) }
        try stage.change(["suspend", "web"])
        #expect(try stage.verb("state", ["web"]).output.text.contains("suspended"))
        try stage.change(["resume", "web"])
        let before = load.recorded
        try waitUntil("it goes on") { load.recorded > before + 1000 }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.labels == ["1", "2", "3"])
        #expect(report.byPID.count >= 9, "\(report.byPID)")
        try stage.expectOnly(try stage.pids())
        nginx.kill()
    }
}
