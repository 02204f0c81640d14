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
            environment: environment + [mark(of: stage)], stage.asDeployer)
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
        endMarked(stage)
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

/// What all have inherited that a stage's supervisors have started.
private func mark(of stage: Stage) -> ByteString { "TEST_STAGE=\(stage.box.path)" }

/// Kills what supervisors of this stage have left.
func endMarked(_ stage: Stage) {
    let mark = Data(mark(of: stage).bytes)
    // What is started while the others are looked at is found the next time.
    for _ in 0..<200 {
        var isAny = false
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let pid = pid_t(name), let environment = FileManager.default.contents(atPath: "/proc/\(pid)/environ"),
                environment.split(separator: 0).contains(mark), state(of: pid) != "Z"
            else { continue }
            kill(pid, SIGKILL)
            isAny = true
        }
        if !isAny { return }
        usleep(5000)
    }
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
