import Foundation
import Testing

@testable import ReusePortKit

/// What a supervisor says of a service.
struct ServiceState: Equatable {
    let pid: pid_t?
    /// Whether the supervisor would start it again.
    let isWanted: Bool
}

/// A real supervisor of service directories.
enum SupervisorKind: CaseIterable, CustomTestStringConvertible {
    case runit, s6

    var testDescription: String { self == .runit ? "runit" : "s6" }
    var scanner: String { self == .runit ? "runsvdir" : "s6-svscan" }

    func target(_ folder: String) -> SupervisionTarget {
        self == .runit ? .runit(ByteString(folder)) : .s6(ByteString(folder))
    }
}

/// A folder of services, and a supervisor for them.
final class Services {
    let stage: Stage
    let kind: SupervisorKind
    let folder: String
    private let environment: [ByteString]
    let supervisor: Running

    /// `fill` writes what is to be there from the start.
    init(
        _ stage: Stage, _ kind: SupervisorKind, environment: [ByteString] = Sandbox.environment,
        _ fill: (String) throws -> Void = { _ in }
    ) throws {
        let program = try Tool.require(kind.scanner)
        self.stage = stage
        self.kind = kind
        self.environment = environment
        folder = "\(stage.home)/services"
        _ = try stage.box.launcher()
        mkdir(folder, 0o755)
        try fill(folder)
        if let owner = stage.deployer { chownTree(folder, owner) }
        supervisor = try stage.box.start(
            program: program, [ByteString(folder)],
            environment: environment + [stage.mark], stage.asDeployer)
        try awaitScanner()
    }

    /// s6-svscan has to have its end of the pipe before anybody tells it something; runsvdir looks by itself.
    func awaitScanner() throws {
        if kind == .runit { return }
        try waitUntil("s6-svscan listens") {
            let pipe = open("\(folder)/.s6-svscan/control", O_WRONLY | O_NONBLOCK | O_CLOEXEC)
            if pipe >= 0 { close(pipe) }
            return pipe >= 0
        }
    }

    /// The supervisors put their services into sessions of their own; they are known by what they inherited.
    deinit {
        supervisor.kill()
        stage.endDeployed()
    }

    /// What has deploy write services here. The environment of deploy says nothing to them: the supervisor's is another.
    var deployOptions: [ByteString] {
        ["--on", ByteString("\(kind.testDescription):\(folder)"), "--log", ByteString("\(stage.home)/logs")]
    }

    func file(_ service: String, _ name: String) -> String { "\(folder)/\(service)/\(name)" }

    func write(_ service: String, _ name: String, _ text: String, mode: mode_t = 0o755) {
        stage.box.write(file(service, name), Array(text.utf8), mode: mode)
    }

    /// Nil if nobody supervises it yet.
    func state(_ service: String) throws -> ServiceState? {
        guard let bytes = FileManager.default.contents(atPath: file(service, "supervise/status")) else { return nil }
        // What its tools look at comes after that.
        let pipe = open(
            file(service, kind == .runit ? "supervise/ok" : "supervise/control"), O_WRONLY | O_NONBLOCK | O_CLOEXEC)
        if pipe < 0 { return nil }
        close(pipe)
        guard let status = ServiceStatus([UInt8](bytes), isS6: kind == .s6) else { return nil }
        // Not down before its finish script is over.
        return ServiceState(pid: status.isFinishing ? status.pid ?? 0 : status.pid, isWanted: status.isWantedUp)
    }

    /// Has the supervisor keep a service down.
    func stop(_ service: String) throws {
        let path = ByteString("\(folder)/\(service)")
        let (program, words): (String, [ByteString]) =
            kind == .runit ? ("sv", ["down", path]) : ("s6-svc", ["-d", path])
        _ = try stage.box.start(program: try Tool.require(program), words, stage.asDeployer).end()
    }

    /// Starts a service that is down, and waits until it says that it is ready.
    func start(_ service: String) throws -> Outcome {
        switch kind {
        case .runit:
            try stage.box.start(
                program: try Tool.require("sv"), ["-w", "35", "start", ByteString("\(folder)/\(service)")],
                environment: environment, stage.asDeployer
            ).end()
        case .s6:
            try stage.box.start(
                program: try Tool.require("s6-svc"), ["-uwU", "-T", "35000", ByteString("\(folder)/\(service)")],
                environment: environment, stage.asDeployer
            ).end()
        }
    }
}

/// What `systemd-analyze verify` says of one unit: it reads all that it finds, and has its say about those of the
/// machine's packages too.
func complaints(about unit: String, _ said: String) -> [Substring] {
    said.split(separator: "\n").filter { $0.contains(unit) }
}

private func chownTree(_ path: String, _ owner: uid_t) {
    chown(path, owner, owner)
    for name in (try? FileManager.default.subpathsOfDirectory(atPath: path)) ?? [] {
        chown("\(path)/\(name)", owner, owner)
    }
}

/// A service directory without a finish script.
func writeByHand(
    _ name: String, _ stage: Stage, _ kind: SupervisorKind, _ service: String, _ options: [ByteString] = []
) throws {
    let launcher = try stage.box.launcher()
    mkdir(service, 0o755)
    func write(_ name: String, _ text: String, mode: mode_t = 0o755) {
        stage.box.write("\(service)/\(name)", Array(text.utf8), mode: mode)
    }
    var words: [ByteString] = [ByteString(launcher), "--app", "web", "--generation", ByteString(name)]
    words += ["--run-dir", stage.runDirectory] + stage.common + options
    if kind == .s6 {
        words += ["--notify-fd", "5"]
        write("notification-fd", "5\n", mode: 0o644)
    } else {
        let check = "\(launcher) check web --generation \(name) --run-dir \(stage.runDirectory.text)"
        write("check", "#!/bin/sh\nexec \(check)\n")
    }
    words += try ["--"] + stage.sampleServer(name)
    write("run", "#!/bin/sh\nexec 2>&1\nexec \(words.map(\.text).joined(separator: " "))\n")
    write("down", "", mode: 0o644)
}
