import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// A copy as `state --json` shows it.
struct CopyState: Decodable {
    struct Socket: Decodable {
        let name: String
        let accept_limit: Int?
    }
    let copy: Int
    let pid: pid_t
    let state: String
    let reason: String
    let crashes: Int
    let sockets: [Socket]
}

struct GenerationState: Decodable {
    let generation: String
    let state: String
    let reason: String
    let copies: [CopyState]

    var running: [CopyState] { copies.filter { $0.state != "ended" } }
}

/// A copy with what is said of its generation.
@dynamicMemberLookup struct KnownCopy {
    let label: String
    let generationState: String
    fileprivate let state: CopyState

    subscript<Value>(dynamicMember path: KeyPath<CopyState, Value>) -> Value { state[keyPath: path] }
}

private struct AppPictureState: Decodable {
    let steering: String?
    let generations: [GenerationState]
}

// MARK: - Deploying

extension Stage {
    /// In the environment of everything that deploy starts here, and of nothing else.
    var mark: ByteString { "TEST_STAGE=\(box.path)" }

    var logPath: String { "\(home)/web.log" }
    var log: String {
        FileManager.default.contents(atPath: logPath).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// The words of a deploy. Without a command, it is the sample server.
    func deployWords(
        _ label: String?, copies: Int?, _ options: [ByteString], _ command: [ByteString]?
    ) throws -> [ByteString] {
        var words: [ByteString] = ["deploy", "web", "--run-dir", runDirectory]
        if let label { words += ["--generation", ByteString(label)] }
        if let copies { words += ["--copies", ByteString(decimal: copies)] }
        if !options.contains("--log") && !options.contains("--on") { words += ["--log", ByteString(logPath)] }
        if level == .privileged && site != .unix && !options.contains("--steering") { words += ["--steering", "ebpf"] }
        return words + common + options + ["--"] + (try command ?? sampleServer(label ?? "sample"))
    }

    func startDeploy(
        _ label: String?, copies: Int? = nil, _ options: [ByteString] = [], variables: [ByteString] = [],
        command: [ByteString]? = nil, steps: [Step] = []
    ) throws -> Running {
        try launch(try deployWords(label, copies: copies, options, command), variables: variables, steps)
    }

    /// Deploys, and returns how that has ended.
    @discardableResult
    func deploy(
        _ label: String?, copies: Int? = nil, _ options: [ByteString] = [], variables: [ByteString] = [],
        command: [ByteString]? = nil, steps: [Step] = [], expect: Int32 = 0,
        _ location: SourceLocation = #_sourceLocation
    ) throws -> Outcome {
        let outcome = try startDeploy(
            label, copies: copies, options, variables: variables, command: command, steps: steps
        ).end()
        #expect(outcome.exit == expect, "\(outcome.status): \(outcome.errors)", sourceLocation: location)
        return outcome
    }

    /// The launcher with these words, in an environment by which what it leaves behind is known.
    func launch(_ words: [ByteString], variables: [ByteString] = [], _ steps: [Step] = []) throws -> Running {
        try box.start(words, environment: environment(variables) + [mark], steps + asDeployer)
    }

    /// A verb that starts copies.
    @discardableResult
    func change(
        _ words: [ByteString], variables: [ByteString] = [], expect: Int32 = 0, _ steps: [Step] = [],
        _ location: SourceLocation = #_sourceLocation
    ) throws -> Outcome {
        let outcome = try launch(words + ["--run-dir", runDirectory], variables: variables, steps).end()
        #expect(
            outcome.exit == expect, "\(words.map(\.text)): \(outcome.status): \(outcome.errors)",
            sourceLocation: location)
        return outcome
    }

    /// Plain copies that share the address with the same load, as a control.
    func replacePlainCopies(_ old: [Running], times: Int, command: (String) throws -> [ByteString]) throws -> [Running]
    {
        var old = old
        for number in 1...times {
            let new = try old.indices.map { _ in
                try startPlain("plain-\(number)", command: try command("plain-\(number)"))
            }
            for process in old { process.signal(SIGTERM) }
            for process in old { _ = try process.end() }
            old = new
        }
        return old
    }
}

// MARK: - What is there

extension Stage {
    func generations(_ location: SourceLocation = #_sourceLocation) throws -> [GenerationState] {
        let outcome = try verb("state", ["web", "--json"])
        #expect(outcome.exit == 0, "\(outcome.errors)", sourceLocation: location)
        return try JSONDecoder().decode([AppPictureState].self, from: Data(outcome.output.bytes))[0].generations
    }

    func generation(_ label: String) throws -> GenerationState? {
        try generations().last { $0.generation == label }
    }

    /// All copies that are known, youngest generation last; none before there is a registry.
    func copies() throws -> [KnownCopy] {
        let output = try verb("state", ["web", "--json"]).output
        if output.isEmpty { return [] }
        return try JSONDecoder().decode([AppPictureState].self, from: Data(output.bytes)).flatMap(\.generations)
            .flatMap { one in
                one.copies.map { KnownCopy(label: one.generation, generationState: one.state, state: $0) }
            }
    }

    func copy(_ label: String, _ number: Int = 0) throws -> KnownCopy? {
        try copies().last { $0.label == label && $0.copy == number }
    }

    /// What `state` says of why a copy has ended.
    func reason(of pid: pid_t) throws -> String? { try copies().first { $0.pid == pid }?.reason }

    /// The running copies of the live generation, by number.
    func live() throws -> [CopyState] {
        (try generations().first { $0.state == "live" }?.running ?? []).sorted { $0.copy < $1.copy }
    }

    func pids() throws -> [pid_t] { try live().map(\.pid) }

    /// A running copy of the live generation.
    func pid(_ copy: Int = 0) throws -> pid_t {
        guard let found = try live().first(where: { $0.copy == copy }) else {
            throw Unavailable(description: "copy \(copy) does not run")
        }
        return found.pid
    }

    /// Everything that deploy has started and that still runs.
    func marked() -> [Known] {
        let wanted = Data(mark.bytes)
        return processes().filter { process in
            FileManager.default.contents(atPath: "/proc/\(process.pid)/environ")?.split(separator: 0).contains(wanted)
                ?? false
        }
    }

    private func processes() -> [Known] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { name in
            guard let pid = pid_t(name), let start = startTime(of: pid) else { return nil }
            return Known(pid: pid, start: start)
        }
    }

    /// What the registry says of running copies.
    private func registered() -> [Known] {
        let folder = "\(runDirectory.text)/web"
        var result: [Known] = []
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] where name.contains("-") {
            for line in ((try? String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)) ?? "").split(
                separator: "\n") where line.hasPrefix("process=")
            {
                let words = line.dropFirst(8).split(separator: " ")
                guard words.count == 2, let pid = pid_t(words[0]), startTime(of: pid) == String(words[1]) else {
                    continue
                }
                result.append(Known(pid: pid, start: String(words[1])))
            }
        }
        return result
    }

    /// No process is left but these.
    func expectOnly(_ pids: [pid_t], _ location: SourceLocation = #_sourceLocation) throws {
        // What deploy leaves at the gate learns of its end when it has ended.
        var left: [pid_t] = []
        do {
            try waitUntil("no process but \(pids)") {
                left = marked().map(\.pid).sorted()
                return left == pids.sorted()
            }
        } catch {
            let names = left.map {
                "\($0) \((try? String(contentsOfFile: "/proc/\($0)/cmdline", encoding: .utf8)) ?? "")"
            }
            Issue.record("\(names) run, and not only \(pids)", sourceLocation: location)
        }
    }

    /// Ends all of it. Workers of nginx, whose environment is gone, are known by their masters only.
    func endDeployed() {
        // What is started while the others are looked at is found the next time.
        for _ in 0..<200 {
            let masters = marked() + registered()
            let workers = masters.flatMap { master in
                ((try? ProcessIdentity(of: master.pid)).map { descendants(of: $0, in: ProcFileSystem()) } ?? [])
                    .compactMap { worker in startTime(of: worker.pid).map { Known(pid: worker.pid, start: $0) } }
            }
            if masters.isEmpty { return }
            for process in masters + workers { process.kill() }
            usleep(2000)
        }
    }

    /// The names in the folder of the app's Unix sockets that begin with a dot, but those of the copies that serve.
    var hiddenNames: [String] { strayNames(in: home) }

    func strayNames(in folder: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        func inode(_ name: String) -> ino_t? { box.status("\(folder)/\(name)")?.st_ino }
        let served = names.filter { !$0.hasPrefix(".") }.compactMap(inode)
        return names.filter { name in name.hasPrefix(".") && !served.contains { $0 == inode(name) } }
    }

    /// Sets the machine up differently for everything that runs in `script`; `$launcher` is the launcher.
    func inMountNamespace(_ script: String) throws -> Outcome {
        try Tool.requireRoot()
        return try box.start(
            program: try Tool.require("unshare"),
            ["--mount", "--propagation", "private", "/bin/sh", "-euc", ByteString(script)],
            environment: Sandbox.environment + [mark, "launcher=\(try box.launcher())"]
        ).end()
    }
}

/// Words for a shell.
func quoted(_ words: [ByteString]) -> String { words.map { "'\($0.text)'" }.joined(separator: " ") }
