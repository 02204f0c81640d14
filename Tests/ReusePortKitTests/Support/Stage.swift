import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// By what right the launcher runs, which decides how connections are steered.
enum Level: CaseIterable, CustomTestStringConvertible {
    /// Root's: two banks, switched by one store.
    case privileged
    /// Anybody's: the old listeners are drained first.
    case ordinary

    var testDescription: String { self == .privileged ? "level 1" : "level 2" }
    var steering: String { self == .privileged ? "ebpf" : "cbpf" }
}

/// Where an app listens.
enum Site: CaseIterable, CustomTestStringConvertible {
    case v4, v6, dualStack, unix

    var testDescription: String { "\(self)" }
}

/// A network namespace with a loopback interface and nothing else, as long as this lives.
final class Network {
    private let holder: Running
    let step: Step
    var pid: pid_t { holder.pid }

    /// `settings` are sysctls below net/, as in `net/ipv4/tcp_migrate_req=1`.
    init(_ box: Sandbox, _ settings: [String] = []) throws {
        try Tool.requireRoot()
        holder = try box.start(
            program: "/bin/sh", ["-c", "echo up; exec sleep 1000"], [.networkNamespace] + settings.map { .sysctl($0) })
        try holder.waitFor("up")
        step = .join(holder.pid)
    }
}

/// One app on an address of its own, with a registry of its own, and whoever deploys it.
final class Stage {
    let box = Sandbox()
    let level: Level
    let site: Site
    /// Who runs the launcher; nil: whoever runs the test.
    let deployer: uid_t?
    /// A folder of whoever runs the launcher.
    let home: String
    private let reservation: Endpoint?
    let network: Network?
    /// What the launcher has of root's capabilities; nil: all.
    var capabilities: [Int]?
    private var number = 0
    /// 0 with a Unix socket.
    let port: UInt16
    /// What `--socket` takes, and where clients go, if it is not what the site says.
    var otherSocket: ByteString?
    var otherAddresses: [ByteString]?

    private static let nobody: uid_t = 65534

    /// With `settings`, in a network of its own that has these sysctls, and where every port is free.
    init(_ level: Level, _ site: Site = .v4, settings: [String]? = nil, port ownPort: UInt16 = 8080) throws {
        if level == .privileged { try Tool.requireRoot() }
        self.level = level
        self.site = site
        deployer = level == .ordinary && Tool.isRoot ? Stage.nobody : nil
        home = box.makeDirectory("home", owner: deployer)
        if let settings {
            network = try Network(box, settings)
            reservation = nil
            port = ownPort
        } else {
            network = nil
            reservation = site == .unix ? nil : try Stage.reserve(site, deployer ?? geteuid())
            port = reservation?.port ?? 0
        }
    }

    /// What deploy has started is nobody's child.
    deinit { endDeployed() }

    /// A port that is nobody else's, in the name of a user: only the same user's sockets can share it.
    private static func reserve(_ site: Site, _ owner: uid_t) throws -> Endpoint {
        // The file system's user id is the thread's own, and a socket belongs to it.
        clinux_syscall(Int(SYS_setfsuid), Int(owner), 0, 0, 0, 0, 0)
        defer { clinux_syscall(Int(SYS_setfsuid), Int(geteuid()), 0, 0, 0, 0, 0) }
        switch site {
        case .v4, .unix: return try Endpoint.bound(.v4(0), share: true, backlog: nil)
        case .v6: return try Endpoint.bound(.v6(0), share: true, backlog: nil)
        case .dualStack:
            let endpoint = try Endpoint(AF_INET6, streamSocket)
            endpoint.set(SO_REUSEPORT)
            var any = sockaddr_in6()
            any.sin6_family = sa_family_t(AF_INET6)
            let result = withUnsafePointer(to: &any) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(endpoint.fd, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
                }
            }
            guard result == 0 else { throw SocketProblem("bind [::]") }
            return endpoint
        }
    }

    // MARK: - Where

    var socketPath: String { "\(home)/web.sock" }
    var runDirectory: ByteString { "\(home)/run" }

    /// What `--socket` takes.
    var socket: ByteString {
        if let otherSocket { return otherSocket }
        return switch site {
        case .v4: "http:127.0.0.1:\(port)"
        case .v6: "http:[::1]:\(port)"
        case .dualStack: "http:*:\(port)"
        case .unix: "http:unix:\(socketPath),mode=666"
        }
    }

    /// Where clients go.
    var addresses: [ByteString] {
        if let otherAddresses { return otherAddresses }
        return switch site {
        case .v4: ["127.0.0.1:\(port)"]
        case .v6: ["[::1]:\(port)"]
        case .dualStack: ["127.0.0.1:\(port)", "[::1]:\(port)"]
        case .unix: ["unix:\(socketPath)"]
        }
    }

    /// For names that are used once.
    func nextNumber() -> Int {
        number += 1
        return number
    }

    // MARK: - Who

    /// What a process needs to be in the stage's network.
    var inNetwork: [Step] { network.map { [$0.step] } ?? [] }

    /// What makes a process that of whoever runs the launcher.
    var asDeployer: [Step] {
        inNetwork + (capabilities.map { [.bounds($0)] } ?? []) + (deployer.map { [.user($0, $0)] } ?? [])
    }

    /// A fixture's program, where every user can reach it.
    func program(_ name: String) throws -> ByteString {
        let copy = box["bin/\(name)"]
        if access(copy, F_OK) != 0 {
            _ = try box.launcher()
            box.write(copy, [UInt8](try Data(contentsOf: URL(fileURLWithPath: try Tool.fixture(name)))), mode: 0o755)
        }
        return ByteString(copy)
    }

    func sampleServer(_ label: String) throws -> [ByteString] { [try program("sample-server"), ByteString(label)] }

    func node(_ label: String) throws -> [ByteString] {
        [ByteString(try Tool.require("node")), ByteString(try box.target("web.js")), "{fd:http}", ByteString(label)]
    }

    func python(_ script: String, _ arguments: [ByteString] = []) throws -> [ByteString] {
        [ByteString(try Tool.require("python3")), "-S", "-E", ByteString(try box.target(script))] + arguments
    }

    // MARK: - Asking

    /// A request that is under way, or waits to be taken.
    func request(_ path: ByteString = "/", at address: ByteString? = nil, timeout: ByteString = "40s") throws -> Running
    {
        try box.start(
            program: try program("load-generator").text,
            ["--get", "--path", path, "--timeout", timeout, address ?? addresses[0]], inNetwork)
    }

    /// What one request is answered.
    func ask(_ path: ByteString = "/", at address: ByteString? = nil) throws -> String {
        try request(path, at: address).end().output.text
    }

    /// A request that takes so long, and that a copy has taken. Not for a stage with a network of its own.
    func slowRequest(milliseconds: Int) throws -> Running {
        func taken() throws -> Int { try establishedConnections(toLocalPort: port).count { $0.inode != 0 } }
        let before = try taken()
        let client = try request("/slow?ms=\(milliseconds)", timeout: "900s")
        try waitUntil("the request is under way") { try taken() > before }
        return client
    }

    // MARK: - Deploying

    /// What is the same for every generation.
    var common: [ByteString] {
        ["--socket", socket] + (level == .privileged ? ["--user", "nobody"] : [])
    }

    func environment(_ variables: [ByteString]) -> [ByteString] { Sandbox.environment + variables }

    /// Starts a copy that takes over by itself. Without a command, it is the sample server.
    func start(
        _ label: String, copies: Int = 1, copy: Int = 0, _ options: [ByteString] = [], variables: [ByteString] = [],
        command: [ByteString]? = nil
    ) throws -> Running {
        let command = try command ?? sampleServer(label)
        var words: [ByteString] = ["--app", "web", "--run-dir", runDirectory, "--generation", ByteString(label)]
        if copies > 1 { words += ["--copies", ByteString(decimal: copies), "--copy", ByteString(decimal: copy)] }
        if level == .privileged { words += ["--steering", "ebpf"] }
        return try box.start(
            words + common + options + ["--"] + command, environment: environment(variables), asDeployer)
    }

    /// Starts a generation and waits until it has taken over.
    func handOver(
        _ label: String, copies: Int = 1, _ options: [ByteString] = [], variables: [ByteString] = [],
        command: [ByteString]? = nil, _ location: SourceLocation = #_sourceLocation
    ) throws -> [Running] {
        let processes = try (0..<copies).map {
            try start(label, copies: copies, copy: $0, options, variables: variables, command: command)
        }
        let outcome =
            copies == 1
            ? try wait(["--pid", ByteString(decimal: processes[0].pid)])
            : try wait(["--generation", ByteString(label)])
        if outcome.exit != 0 {
            for process in processes { process.kill() }
            let said = try processes.map { try $0.end().errors }.joined(separator: "; ")
            Issue.record("\(label) did not take over: \(outcome.errors); \(said)", sourceLocation: location)
            throw Unavailable(description: "\(label) did not take over")
        }
        return processes
    }

    /// A verb, run by whoever deploys.
    func verb(_ name: ByteString, _ arguments: [ByteString] = []) throws -> Outcome {
        try box.run([name] + arguments + ["--run-dir", runDirectory], asDeployer)
    }

    func wait(_ which: [ByteString]) throws -> Outcome { try verb("wait", ["web"] + which + ["--timeout", "35s"]) }

    // MARK: - Without help

    /// Starts a server that merely shares the address, and waits until it serves.
    func startPlain(
        _ label: String, variables: [ByteString] = [], command: [ByteString]? = nil
    ) throws -> Running {
        let process = try box.start(
            common + ["--"] + (command ?? sampleServer(label)), environment: environment(variables), asDeployer)
        try process.waitFor("ready")
        return process
    }

    /// Blue/green as it is done without help: start the new one, wait until it serves, tell the old one to stop. A Unix
    /// socket cannot be shared, so there the old one has to end first. The last server is left running.
    func replacePlain(
        _ old: Running, times: Int, variables: [ByteString] = [], command: (String) throws -> [ByteString]
    ) throws -> Running {
        var old = old
        for number in 1...times {
            func stopOld() throws {
                old.signal(SIGTERM)
                _ = try old.end()
            }
            if site == .unix { try stopOld() }
            let label = "plain-\(number)"
            let new = try startPlain(label, variables: variables, command: try command(label))
            if site != .unix { try stopOld() }
            old = new
        }
        return old
    }
}

extension Tool {
    /// A program built from Tests/Fixtures.
    static func fixture(_ name: String) throws -> String {
        let variable = ["sample-server": "SAMPLE_SERVER", "load-generator": "LOAD_GENERATOR"][name]!
        let path = ProcessInfo.processInfo.environment[variable] ?? "\(package)/.build/embedded/release/\(name)"
        guard access(path, X_OK) == 0 else {
            throw Unavailable(description: "\(path) is missing: build it with make fixtures, or set \(variable)")
        }
        return path.hasPrefix("/") ? path : "\(FileManager.default.currentDirectoryPath)/\(path)"
    }
}
