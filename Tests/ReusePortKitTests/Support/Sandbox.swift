import CLinux
import Foundation
import Testing

@testable import ReusePortKit

extension ByteString.Interpolation {
    mutating func appendInterpolation(_ value: String) { appendInterpolation(ByteString(value)) }
}

extension ByteString {
    /// For comparing and showing; what is not UTF-8 is mended.
    var text: String { String(decoding: bytes, as: UTF8.self) }
}

/// What posix_spawn(3) has no attribute for: carried out, in this order, by the program `prepare`.
enum Step: Sendable {
    case block(Int32)
    case ignore(Int32)
    case dropCapabilities
    case keepCapabilities
    /// Root in a container, with no capabilities but these.
    case bounds([Int])
    case changeDirectory(String)
    case close(Int32)
    /// socket(2) fails for an address family.
    case deny(Int32, Errno)
    case open(Int32, String)
    case fillEnvironment(Int)
    case user(uid_t, gid_t)
    case networkNamespace
    /// The network namespace of a running process.
    case join(pid_t)
    case sysctl(String)
    case withoutProc
    case noArguments
    case name(ByteString)
    case descriptorLimit(Int)
    case stackLimit(Int)
    case umask(String)
    /// `setresuid` or `setresgid`, which only say that they have done it.
    case pretend(ByteString)

    var words: [ByteString] {
        switch self {
        case .block(let number): ["block", ByteString(decimal: number)]
        case .ignore(let number): ["ignore", ByteString(decimal: number)]
        case .dropCapabilities: ["capabilities", "none"]
        case .keepCapabilities: ["capabilities", "ambient"]
        case .bounds(let numbers):
            ["bounds", ByteString(numbers.map { String($0) }.joined(separator: ","))]
        case .changeDirectory(let path): ["chdir", ByteString(path)]
        case .close(let number): ["close", ByteString(decimal: number)]
        case .deny(let family, let reason):
            ["deny", ByteString(decimal: family), ByteString(decimal: reason.rawValue)]
        case .open(let number, let path): ["open", ByteString(decimal: number), ByteString(path)]
        case .fillEnvironment(let bytes): ["fill", ByteString(decimal: bytes)]
        case .user(let uid, let gid):
            ["groups", ByteString(decimal: gid), "gid", ByteString(decimal: gid), "uid", ByteString(decimal: uid)]
        case .networkNamespace: ["namespace", "net"]
        case .join(let pid): ["join", ByteString(decimal: pid)]
        case .sysctl(let assignment): ["sysctl", ByteString(assignment)]
        case .withoutProc: ["namespace", "mount", "unmount", "/proc"]
        case .noArguments: ["no-arguments", "-"]
        case .name(let name): ["argv0", name]
        case .descriptorLimit(let number): ["nofile", ByteString(decimal: number)]
        case .stackLimit(let bytes): ["stack", ByteString(decimal: bytes)]
        case .umask(let mode): ["umask", ByteString(mode)]
        case .pretend(let call): ["pretend", call]
        }
    }
}

/// A private folder and the processes started in it. Both are gone when it ends, however the test ended.
final class Sandbox {
    let path: String
    private var running: [Running] = []

    init() { path = makeFolder(prefix: "reuseport-exec-test") }

    deinit {
        for process in running { process.kill() }
        removeTree(path)
    }

    /// A name in the folder.
    subscript(name: String) -> String { "\(path)/\(name)" }

    static let environment: [ByteString] = [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
    ]

    // MARK: Files

    @discardableResult
    func write(_ name: String, _ content: String, mode: mode_t = 0o644) -> String {
        write(self[name], Array(content.utf8), mode: mode)
        return self[name]
    }

    func write(_ path: String, _ content: [UInt8], mode: mode_t) {
        let fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard fd >= 0 else { fatalError("open \(path)") }
        var at = 0
        while at < content.count {
            let written = content.withUnsafeBytes { Glibc.write(fd, $0.baseAddress! + at, content.count - at) }
            guard written > 0 else { fatalError("write \(path)") }
            at += written
        }
        fchmod(fd, mode)
        close(fd)
        guard mode & 0o111 == 0 || (try? awaitNoWriter(path)) != nil else { fatalError("write \(path)") }
    }

    /// A script or compiled target, copied to where every user can reach it.
    func target(_ name: String) throws -> String {
        let copy = self[name]
        if access(copy, F_OK) != 0 {
            write(copy, [UInt8](try Data(contentsOf: URL(fileURLWithPath: try Tool.target(name)))), mode: 0o755)
        }
        return copy
    }

    func makeDirectory(_ name: String, mode: mode_t = 0o755, owner: uid_t? = nil) -> String {
        let path = self[name]
        mkdir(path, mode)
        chmod(path, mode)
        if let owner { chown(path, owner, owner) }
        return path
    }

    func exists(_ name: String) -> Bool {
        var status = stat()
        return lstat(name.hasPrefix("/") ? name : self[name], &status) == 0
    }

    func status(_ name: String) -> stat? {
        var status = stat()
        return lstat(name.hasPrefix("/") ? name : self[name], &status) == 0 ? status : nil
    }

    // MARK: Processes

    /// Starts the launcher and leaves it running.
    func start(
        _ arguments: [ByteString], environment: [ByteString] = Sandbox.environment, _ steps: [Step] = []
    ) throws -> Running {
        try start(program: launcher(), arguments, environment: environment, steps)
    }

    /// Runs the launcher, which by now is its target, to its end.
    func run(
        _ arguments: [ByteString], environment: [ByteString] = Sandbox.environment, _ steps: [Step] = []
    ) throws -> Outcome {
        try start(arguments, environment: environment, steps).end()
    }

    /// The release binary, where every user can reach it.
    func launcher() throws -> String {
        let copy = self["bin/reuseport-exec"]
        if access(copy, F_OK) != 0 {
            mkdir(self["bin"], 0o755)
            chmod(self["bin"], 0o755)
            // A link would do for root, but not with fs.protected_hardlinks.
            let original = URL(fileURLWithPath: try Tool.launcher())
            write(copy, [UInt8](try Data(contentsOf: original)), mode: 0o755)
            // What it looks for beside itself.
            let library = "reuseport-adopt.so"
            let beside = original.resolvingSymlinksInPath().deletingLastPathComponent()
            if let content = try? Data(contentsOf: beside.appendingPathComponent(library)) {
                write(self["bin/\(library)"], [UInt8](content), mode: 0o644)
            }
        }
        return copy
    }

    func start(
        program: String, _ arguments: [ByteString], environment: [ByteString] = Sandbox.environment,
        _ steps: [Step] = []
    ) throws -> Running {
        var words: [ByteString] = [ByteString(program)] + arguments
        var file = program
        if !steps.isEmpty {
            file = try target("prepare")
            words = [ByteString(file)] + steps.flatMap(\.words) + ["--"] + words
        }
        let process = try Running(file: file, words: words, environment: environment)
        running.append(process)
        return process
    }

    /// Runs an ordinary tool with the caller's environment.
    static func plainRun(_ words: [String]) throws -> Outcome {
        try Running(file: words[0], words: words.map { ByteString($0) }, environment: callersEnvironment()).end()
    }
}
