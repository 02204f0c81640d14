import Foundation
import Testing

@testable import ReusePortKit

/// docs/handing-over-well.md, by its own examples.
@Suite struct HandingOverWellTests {
    enum Language: CaseIterable { case node, python }

    private func server(_ stage: Stage, _ language: Language, _ label: String) throws -> [ByteString] {
        switch language {
        case .node:
            [
                ByteString(try Tool.require("node")), try stage.script("examples/handing-over-well/server.js"),
                ByteString(label),
            ]
        case .python:
            [
                ByteString(try Tool.require("python3")), "-S", "-E",
                try stage.script("examples/handing-over-well/server.py"), ByteString(label),
            ]
        }
    }

    /// Clients that keep their connections are told that an answer is the last one, and never ask in vain.
    @Test(arguments: Language.allCases)
    func keepAlive(language: Language) throws {
        let stage = try Stage(.privileged)
        let report = try handOvers(stage, times: 6) { try server(stage, language, $0) }
        #expect(report.lost == 0 && report.idleRaces == 0, "\(report.summary)")
    }

    /// A server that closes what is idle at that moment crosses with requests.
    @Test func keepAliveWithoutCare() throws {
        let stage = try Stage(.privileged)
        let script = stage.box.write(
            "careless.js",
            """
            const server = require('http').createServer((request, response) => {
                response.end(`label: ${process.argv[2]}\\npid: ${process.pid}\\n`);
            });
            server.listen({ fd: 3 });
            process.once('SIGTERM', () => { server.close(); server.closeIdleConnections(); });

            """)
        for _ in 0..<8 {
            let report = try handOvers(stage, times: 6) {
                [ByteString(try Tool.require("node")), ByteString(script), ByteString($0)]
            }
            if report.idleRaces + report.lost > 0 { return }
        }
        Issue.record("no request crossed with the end of its connection")
    }

    private func handOvers(_ stage: Stage, times: Int, command: (String) throws -> [ByteString]) throws -> Report {
        try stage.deploy(nil, command: try command("first"))
        let load = try Load(stage, requestsPerConnection: 1000)
        for number in 1...times {
            try stage.deploy(nil, command: try command("\(number)"))
            let before = load.recorded
            try waitUntil("all clients are there") { load.recorded > before + 10_000 }
        }
        return try load.stop()
    }

    /// Nothing is asked of a server whose caches are cold.
    @Test func warmUp() throws {
        let stage = try Stage(.privileged)
        try stage.deploy("1", command: try server(stage, .node, "1"))
        let load = try Load(stage, connections: 8)
        let late = try stage.startDeploy("2", ["--env", "WARM_UP_MS=1500"], command: try server(stage, .node, "2"))
        try waitUntil("it is on its way") { try stage.generation("2")?.state == "starting" }
        #expect(try stage.ask().contains("label: 1\n"))
        #expect(try late.end().exit == 0)
        #expect(try stage.ask().contains("label: 2\n"))
        let report = try load.stop()
        #expect(report.lost == 0 && report.labels == ["1", "2"], "\(report.summary)")
    }

    /// A stream ends as a stream does, and whoever asks again finds the next generation.
    @Test func streams() throws {
        let stage = try Stage(.privileged)
        try stage.deploy("1", command: try server(stage, .node, "1"))
        let client = try Endpoint.connect(.v4(stage.port))
        try client.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(try client.receive().contains("200 OK"))
        try stage.deploy("2", command: try server(stage, .node, "2"))
        // The last chunk: not a connection that broke.
        #expect(try client.receiveAll().hasSuffix("0\r\n\r\n"))
        let again = try Endpoint.connect(.v4(stage.port))
        try again.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        var text = ""
        while !text.contains("label:") { text += try again.receive() }
        #expect(text.contains("label: 2"), "\(text)")
        try waitUntil("nothing is left of the first") { try stage.generation("1")?.state == "ended" }
    }

    /// Two generations side by side, and the jobs of one of them at a time.
    @Test(arguments: Language.allCases)
    func jobs(language: Language) throws {
        let box = Sandbox()
        let stage = try Stage(.ordinary)
        let name = ByteString(language == .node ? "reuseport-exec-test-\(getpid())-\(stage.port)" : box["jobs.lock"])
        let script = try stage.script(
            language == .node ? "examples/handing-over-well/jobs.js" : "examples/handing-over-well/jobs.py")
        let program = try Tool.require(language == .node ? "node" : "python3")
        let output = box["output"]
        let words: [ByteString] = [
            "-c", "exec \"$@\" >>\(ByteString(output))", "sh", ByteString(program), script, name,
        ]
        func lines() throws -> [[Substring]] {
            try String(contentsOfFile: output, encoding: .utf8).split(separator: "\n").map { $0.split(separator: " ") }
        }
        func count(_ process: Running) throws -> Int { try lines().count { $0[1] == "\(process.pid)" } }
        box.write("output", "")
        let old = try box.start(program: "/bin/sh", words)
        try waitUntil("jobs") { try count(old) > 10 }
        let new = try box.start(program: "/bin/sh", words)
        let before = try count(old)
        try waitUntil("more jobs") { try count(old) > before + 20 }
        #expect(try count(new) == 0)
        // Told to stop, it finishes its job; killed, it cannot, and the lock is free all the same.
        old.signal(language == .node ? SIGTERM : SIGKILL)
        _ = try old.end()
        try waitUntil("the jobs of the next") { try count(new) > 10 }
        new.signal(SIGTERM)
        #expect(try new.end().exit == 0)
        let all = try lines()
        let last = all.lastIndex { $0[1] == "\(old.pid)" }!
        #expect(!all[...last].contains { $0[1] == "\(new.pid)" })
        if language == .node { #expect(all[last][0] == "end") }
    }

    /// What a server starts must not hold its listener.
    @Test func descriptorsOfChildren() throws {
        let box = Sandbox()
        let python = ByteString(try Tool.require("python3"))
        func held(_ first: ByteString) throws -> Bool {
            let outcome = try box.run([
                "--socket", "http:127.0.0.1:0", "--", python, "-S", "-E", "-c",
                "import os; \(first); os.system('readlink /proc/self/fd/3')",
            ])
            return outcome.output.text.hasPrefix("socket:")
        }
        #expect(try held("pass"))
        #expect(try !held("os.set_inheritable(3, False)"))
    }
}
