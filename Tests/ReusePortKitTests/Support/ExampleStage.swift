import Foundation
import Testing

@testable import ReusePortKit

/// An example in a copy of its folder and a network of its own, where it has the port that it names, run by its own
/// command lines as root.
final class ExampleStage {
    let stage: Stage
    let example: Example
    /// Where the example lies, and is run.
    let folder: String
    /// What takes long; nil if nothing does.
    let slow: ByteString?
    private var others: [Running] = []

    var box: Sandbox { stage.box }

    private let isBuilt: Bool

    /// `package` is the manifest of the example's package, in whose folder its commands are run.
    init(_ path: String, package: String? = nil, slow: ByteString? = "/slow", isBuilt: Bool = false) throws {
        example = try Example(path)
        self.isBuilt = isBuilt
        self.slow = slow
        stage = try Stage(.privileged, settings: [], port: 80)
        try copyTree(Example.folder, to: stage.box["examples"])
        folder = URL(fileURLWithPath: stage.box["examples/\(package ?? path)"]).deletingLastPathComponent().path
        _ = try box.launcher()
    }

    /// Carries out what comes before the command line.
    func prepare() throws {
        if isBuilt { return }
        for line in example.preparations {
            let outcome = try shell(line).end()
            guard outcome.exit == 0 else {
                throw Unavailable(description: "\(line): \(outcome.status): \(outcome.errors)")
            }
        }
    }

    /// Puts a program that is built already where the example's commands name it.
    func place(_ program: String, as name: String) throws {
        let release = "\(folder)/.build/release"
        try FileManager.default.createDirectory(atPath: release, withIntermediateDirectories: true)
        // By another process: what is started meanwhile would inherit it open to be written, and it could not run.
        let copy = try box.start(
            program: try Tool.require("cp"), [ByteString(program), ByteString("\(release)/\(name)")])
        #expect(try copy.end().exit == 0)
    }

    /// Starts something else that the example needs.
    func startOther(_ program: String, _ arguments: [ByteString]) throws {
        others.append(try box.start(program: program, arguments, stage.inNetwork))
    }

    /// The server that stands for whatever is behind a proxy.
    func startBackend() throws {
        try startOther(
            try box.launcher(), ["--socket", "app:127.0.0.1:3000", "--"] + (try stage.sampleServer("behind")))
    }

    private func shell(_ line: String) throws -> Running {
        let environment: [ByteString] = [
            "PATH=\(box["bin"]):/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
            // Where Debian puts modules for its own Node.
            "NODE_PATH=/usr/share/nodejs", stage.mark,
        ]
        return try box.start(
            program: "/bin/sh", ["-c", ByteString(line)], environment: environment,
            stage.inNetwork + [.changeDirectory(folder)])
    }

    // MARK: - Serving

    /// What is answered, as soon as somebody listens; it waits in the queue until the server takes it.
    func ask(_ path: ByteString = "/") throws -> String {
        var answer = ""
        try waitUntil("an answer of \(example.path)") {
            answer = try stage.ask(path)
            return answer.contains("pid: ")
        }
        return answer
    }

    /// The command line without a handoff: it serves, as the user it is for, and ends on its stop signal.
    func servesPlainly(_ location: SourceLocation = #_sourceLocation) throws {
        let process = try shell("exec \(example.plain)")
        do {
            _ = try ask()
        } catch {
            process.kill()
            throw Unavailable(description: "\(example.path): \(error): \(try process.end().errors)")
        }
        let user = try String(contentsOfFile: "/proc/\(process.pid)/status", encoding: .utf8)
            .split(separator: "\n").first { $0.hasPrefix("Uid:") }
        let wanted = String(getpwnam("www-data").pointee.pw_uid)
        #expect(user?.split(separator: "\t").dropFirst().allSatisfy { $0 == wanted } == true, sourceLocation: location)
        process.signal(Example.signals[example.option("--stop-signal") ?? "TERM"]!)
        _ = try process.end()
    }

    /// When a generation took over, and when the one before was told to stop: microseconds of the monotonic clock.
    struct Handoff {
        var tookOver: Int64?
        var toldToStop: Int64?
    }

    /// The command line that deploys; `change` is for controls.
    @discardableResult
    func deploy(
        _ change: (String) -> String = { $0 }, _ location: SourceLocation = #_sourceLocation
    ) throws -> Handoff {
        let own =
            "deploy web --debug --run-dir \(stage.runDirectory.text) --log \(stage.logPath) --steering ebpf"
        let line = change(example.deploy.replacingOccurrences(of: "deploy web", with: own))
        let outcome = try shell(line).end()
        try #require(
            outcome.exit == 0, "\(line): \(outcome.status): \(outcome.errors) \(stage.log.suffix(2000))",
            sourceLocation: location)
        var handoff = Handoff()
        for line in outcome.errors.split(separator: "\n") {
            guard let at = line.range(of: ": at "), let end = line.range(of: " us: ") else { continue }
            let time = Int64(line[at.upperBound..<end.lowerBound])
            if line[end.upperBound...].hasPrefix("took over") { handoff.tookOver = time }
            if line.hasSuffix("is told to stop") { handoff.toldToStop = time }
        }
        return handoff
    }

    // MARK: - Handing over

    /// What became of the clients: those that ask for little, and those whose requests take long.
    struct Result {
        let quick: Report
        let slow: Report?
        /// Handoffs at which requests were in flight when the old generation was told to stop.
        let inFlight: Int
    }

    /// Deploys again under load, until twice something was in flight on a generation that was told to stop.
    func handOver(_ change: (String) -> String = { $0 }) throws -> Result {
        try deploy(change)
        let quick = try Load(stage, connections: 6, path: "/")
        let slow = try self.slow.map { try Load(stage, connections: 3, path: $0) }
        var inFlight = 0
        var handoffs = 0
        while inFlight < 2, handoffs < 12 {
            handoffs += 1
            let handoff = try deploy(change)
            guard let tookOver = handoff.tookOver, let toldToStop = handoff.toldToStop else {
                throw Unavailable(description: "deploy does not say when it told the old generation to stop")
            }
            // From the new generation, and behind all that was in flight.
            try waitUntil("an answer of the new generation of \(example.path)") {
                quick.answers.contains { $0.start > toldToStop && $0.isGood }
            }
            guard let slow else {
                inFlight += 1
                continue
            }
            try waitUntil("the end of what was in flight") {
                slow.answers.count { $0.start > toldToStop } >= 3
            }
            if slow.answers.contains(where: { $0.start < tookOver && $0.end > toldToStop }) { inFlight += 1 }
        }
        return Result(quick: try quick.stop(), slow: try slow?.stop(), inFlight: inFlight)
    }

    /// Stops and starts the server itself, without the launcher, under the load of those that ask for little.
    func restart(times: Int) throws -> Report {
        guard let end = example.plain.range(of: " -- ") else { throw Unavailable(description: "no command") }
        let command = "exec \(example.plain[end.upperBound...])"
        var server = try shell(command)
        _ = try ask()
        let load = try Load(stage, connections: 6, path: "/")
        for _ in 0..<times {
            server.signal(Example.signals[example.option("--stop-signal") ?? "TERM"]!)
            _ = try server.end()
            server = try shell(command)
            _ = try ask()
        }
        return try load.stop()
    }

    /// All of it: it serves, and two handoffs lose nothing, neither what is new nor what is in flight.
    func prove(_ location: SourceLocation = #_sourceLocation) throws {
        try prepare()
        try servesPlainly(location)
        let result = try handOver()
        #expect(result.quick.lost == 0, "\(result.quick.summary)", sourceLocation: location)
        if let slow = result.slow { #expect(slow.lost == 0, "\(slow.summary)", sourceLocation: location) }
        #expect(result.inFlight == 2, "nothing was in flight when it mattered", sourceLocation: location)
        let outcome = try stage.verb("terminate", ["web"])
        #expect(outcome.exit == 0, "\(outcome.errors)", sourceLocation: location)
        try stage.expectOnly([], location)
    }
}

extension Example {
    static let signals = ["TERM": SIGTERM, "QUIT": SIGQUIT, "USR1": SIGUSR1, "INT": SIGINT]
}

extension Load {
    /// Requests that have come to their end, whatever that was.
    fileprivate var answers: [Request] { lines.compactMap { Request($0) } }
}

/// A line of a load's record.
private struct Request {
    let start: Int64
    let end: Int64
    let isGood: Bool

    init?(_ line: Substring) {
        let words = line.split(separator: " ")
        guard words.count == 4, let start = Int64(words[0]), let time = Int64(words[1]) else { return nil }
        self.start = start
        end = start + time
        isGood = words[2] == "ok"
    }
}
