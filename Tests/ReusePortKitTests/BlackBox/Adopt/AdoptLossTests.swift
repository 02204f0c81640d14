import Foundation
import Testing

@testable import ReusePortKit

/// A server that binds by itself, as its users start it: to be handed over without a word of its own.
struct BindingServer: CustomTestStringConvertible, Sendable {
    let testDescription: String
    /// What is run for a generation of this label, to serve at the stage's port.
    let command: @Sendable (Stage, String) throws -> [ByteString]
    /// What it needs besides `--pass adopt`.
    var options: [ByteString] = []
    /// What tells it to stop, and finish what it is at.
    var stopSignal = SIGTERM

    static let all: [BindingServer] = [node, probing, threads, workers, forks, nginx]

    static let node = BindingServer(
        testDescription: "Node",
        command: { stage, label in
            [
                ByteString(try Tool.require("node")), ByteString(try stage.box.target("listen.js")),
                "127.0.0.1:\(stage.port)", ByteString(label),
            ]
        })

    static let probing = BindingServer(
        testDescription: "Node that listens, closes and listens again",
        command: { stage, label in
            [
                ByteString(try Tool.require("node")), ByteString(try stage.box.target("probing.js")),
                "127.0.0.1:\(stage.port)", ByteString(label),
            ]
        })

    static let threads = BindingServer(
        testDescription: "Python, a thread for each connection",
        command: { stage, label in
            try stage.python("serve.py", [ByteString(decimal: stage.port), ByteString(label)])
        })

    static let workers = BindingServer(
        testDescription: "Python, workers that each bind and have a thread for each connection",
        command: { stage, label in
            try stage.python("serve.py", [ByteString(decimal: stage.port), ByteString(label), "prefork"])
        })

    static let forks = BindingServer(
        testDescription: "Python, a process for each connection",
        command: { stage, label in
            try stage.python("serve.py", [ByteString(decimal: stage.port), ByteString(label), "forking"])
        })

    static let nginx = BindingServer(
        testDescription: "nginx",
        command: { stage, label in
            let folder = stage.box.makeDirectory("nginx-\(label)", owner: Tool.isRoot ? 65534 : nil)
            let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map { "\($0)_temp_path \(folder)/\($0);" }.joined(separator: " ")
            let configuration = stage.box.write(
                "nginx-\(label).conf",
                """
                daemon off; worker_processes 1; pid \(folder)/pid; error_log stderr crit;
                events { worker_connections 512; }
                http { access_log off; \(folders)
                server { listen 127.0.0.1:\(stage.port); return 200 "label: \(label)\\npid: $pid\\n"; } }
                """)
            return [ByteString(try Tool.require("nginx")), "-e", "stderr", "-c", ByteString(configuration)]
        }, options: ["--stop-signal", "QUIT"], stopSignal: SIGQUIT)
}

/// Servers that know nothing of inherited sockets take over from each other under load, and nobody loses a connection.
///
/// The control is what can be done with them otherwise: the port is not shared, so the old one has to end first.
@Suite struct AdoptLossTests {
    static let handoffs = 6

    @Test(arguments: BindingServer.all, Level.allCases)
    func nothingIsLost(server: BindingServer, level: Level) throws {
        let stage = try Stage(level, settings: [])
        let options = ["--pass", "adopt"] + server.options
        var live = try stage.handOver("1", options, command: try server.command(stage, "1"))
        let load = try Load(stage)
        for number in 2...Self.handoffs + 1 {
            let label = "\(number)"
            let next = try stage.handOver(label, options, command: try server.command(stage, label))
            for process in live {
                let outcome = try process.end()
                #expect(outcome.exit == 0, "generation \(number - 1): \(outcome.status) \(outcome.errors)")
            }
            live = next
        }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.labels == Set((1...Self.handoffs + 1).map { "\($0)" }))
    }

    @Test(arguments: BindingServer.all)
    func withoutHelpSomeAreLost(server: BindingServer) throws {
        let stage = try Stage(.ordinary, settings: [])
        func start(_ number: Int) throws -> Running {
            let words = try server.command(stage, "\(number)")
            let process = try stage.box.start(program: words[0].text, Array(words.dropFirst()), stage.asDeployer)
            try waitUntil("a listener") { try stage.listens(process) }
            return process
        }
        var live = try start(0)
        let load = try Load(stage)
        for number in 1...Self.handoffs {
            live.signal(server.stopSignal)
            _ = try live.end()
            live = try start(number)
        }
        let report = try load.stop()
        #expect(report.lost > 0, "\(report.summary)")
    }
}

extension Stage {
    /// Whether anybody listens in the stage's network; the process must not have ended meanwhile.
    fileprivate func listens(_ process: Running) throws -> Bool {
        if state(of: process.pid) == "Z" { throw Unavailable(description: "it ended: \(try process.end().errors)") }
        let table = try String(contentsOfFile: "/proc/\(network!.pid)/net/tcp", encoding: .utf8)
        // The port in hexadecimal, and TCP_LISTEN.
        return table.contains(":\(String(format: "%04X", port)) 00000000:0000 0A")
    }
}
