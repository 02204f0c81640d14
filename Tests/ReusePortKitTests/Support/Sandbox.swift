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

/// The longest any wait in these tests takes before it gives up: generous, because the machine may be slow and
/// busy. Nothing waits this long when all is well.
let patience: Duration = .seconds(40)

/// A moment on the monotonic clock by which something must have happened.
struct Deadline {
    let end = ContinuousClock.now + patience

    /// What is left, for poll(2).
    var milliseconds: Int32 {
        let left = (end - ContinuousClock.now).components
        return Int32(max(0, min(left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000, 1_000_000)))
    }
    var hasPassed: Bool { ContinuousClock.now >= end }
}

struct TimedOut: Error, CustomStringConvertible {
    let what: String
    let seen: String
    var description: String { "timed out waiting for \(what); seen so far: \(seen)" }
}

/// How a process came to its end, and what it wrote.
struct Outcome {
    let pid: pid_t
    /// As waitpid(2) gives it.
    let status: Int32
    let output: ByteString
    let errorOutput: ByteString

    /// The exit code; nil when a signal ended it.
    var exit: Int32? { status & 0x7F == 0 ? (status >> 8) & 0xFF : nil }
    var errors: String { errorOutput.text }
}

/// What posix_spawn(3) has no attribute for: carried out, in this order, by the program `prepare`.
enum Step: Sendable {
    case block(Int32)
    case ignore(Int32)
    case dropCapabilities
    case keepCapabilities
    case changeDirectory(String)
    case close(Int32)
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

    var words: [ByteString] {
        switch self {
        case .block(let number): ["block", ByteString(decimal: number)]
        case .ignore(let number): ["ignore", ByteString(decimal: number)]
        case .dropCapabilities: ["capabilities", "none"]
        case .keepCapabilities: ["capabilities", "ambient"]
        case .changeDirectory(let path): ["chdir", ByteString(path)]
        case .close(let number): ["close", ByteString(decimal: number)]
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
        var environment: [ByteString] = []
        for (name, value) in ProcessInfo.processInfo.environment { environment.append(ByteString("\(name)=\(value)")) }
        return try Running(
            file: words[0], words: words.map { ByteString($0) }, environment: environment
        ).end()
    }
}

/// A process of ours, the leader of a group of its own, so that its children go with it.
final class Running {
    let pid: pid_t
    private var output: Int32
    private var errorOutput: Int32
    private var outputBytes: [UInt8] = []
    private var errorBytes: [UInt8] = []
    private var linesTaken = 0
    private var status: Int32?

    /// posix_spawn(3) with standard input on /dev/null and the two outputs on pipes.
    init(file: String, words: [ByteString], environment: [ByteString]) throws {
        var pipes: [Int32] = [-1, -1, -1, -1]
        try pipes.withUnsafeMutableBufferPointer { buffer in
            guard pipe2(buffer.baseAddress!, O_CLOEXEC) == 0, pipe2(buffer.baseAddress! + 2, O_CLOEXEC) == 0 else {
                throw Unavailable(description: "no pipe")
            }
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, pipes[1], 1)
        posix_spawn_file_actions_adddup2(&actions, pipes[3], 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        var all = sigset_t()
        var none = sigset_t()
        sigfillset(&all)
        sigemptyset(&none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
            close(pipes[1])
            close(pipes[3])
        }
        var child: pid_t = 0
        let result = withCArray(words) { argv in
            withCArray(environment) { envp in posix_spawn(&child, file, &actions, &attributes, argv, envp) }
        }
        guard result == 0 else {
            close(pipes[0])
            close(pipes[2])
            throw Unavailable(description: "posix_spawn \(file): \(String(cString: strerror(result)))")
        }
        pid = child
        output = pipes[0]
        errorOutput = pipes[2]
        _ = fcntl(output, F_SETFL, O_NONBLOCK)
        _ = fcntl(errorOutput, F_SETFL, O_NONBLOCK)
    }

    deinit {
        kill()
        close(output)
        close(errorOutput)
    }

    var errors: String { String(decoding: errorBytes, as: UTF8.self) }

    /// Ends the whole group at once; the leader is reaped last, so that its number cannot be another's by then.
    func kill() {
        guard status == nil else { return }
        Glibc.kill(-pid, SIGKILL)
        reap()
    }

    func signal(_ number: Int32) {
        if status == nil { Glibc.kill(pid, number) }
    }

    private func reap() {
        var result: Int32 = 0
        while waitpid(pid, &result, 0) == -1, errno == EINTR {}
        status = result
    }

    /// Takes what there is on both pipes, waiting for more until the deadline. False when both have ended.
    private func pump(_ deadline: Deadline, _ what: String) throws -> Bool {
        var wanted = [pollfd]()
        if output >= 0 { wanted.append(pollfd(fd: output, events: Int16(POLLIN), revents: 0)) }
        if errorOutput >= 0 { wanted.append(pollfd(fd: errorOutput, events: Int16(POLLIN), revents: 0)) }
        if wanted.isEmpty { return false }
        guard poll(&wanted, nfds_t(wanted.count), deadline.milliseconds) != 0 else {
            throw TimedOut(
                what: what, seen: "\(String(decoding: outputBytes.suffix(2000), as: UTF8.self)) \(errors.suffix(2000))")
        }
        if output >= 0 { take(&output, &outputBytes) }
        if errorOutput >= 0 { take(&errorOutput, &errorBytes) }
        return true
    }

    private func take(_ fd: inout Int32, _ bytes: inout [UInt8]) {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(fd, &buffer, buffer.count)
            if count > 0 {
                bytes.append(contentsOf: buffer[..<count])
            } else if count == 0 {
                close(fd)
                fd = -1
                return
            } else {
                return
            }
        }
    }

    /// The next line on standard output, without its end; nil when there is none left.
    func line() throws -> String? {
        let deadline = Deadline()
        while true {
            if let end = outputBytes[linesTaken...].firstIndex(of: 10) {
                defer { linesTaken = end + 1 }
                return String(decoding: outputBytes[linesTaken..<end], as: UTF8.self)
            }
            if try !pump(deadline, "a line of process \(pid)") { return nil }
        }
    }

    /// Waits until a line on either output has `part` in it.
    func waitFor(_ part: String) throws {
        let deadline = Deadline()
        while !String(decoding: outputBytes + errorBytes, as: UTF8.self).contains(part) {
            guard try pump(deadline, part) else { throw TimedOut(what: part, seen: errors) }
        }
    }

    /// Waits for the end of the process and of its output.
    func end() throws -> Outcome {
        let deadline = Deadline()
        while try pump(deadline, "the end of process \(pid)") {}
        if status == nil {
            // Both pipes have ended, so it is about to exit, or a daemon that closed them: a pidfd tells.
            let descriptor = Int32(clinuxPidfdOpen(pid))
            defer { if descriptor >= 0 { close(descriptor) } }
            var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            if poll(&wanted, 1, deadline.milliseconds) == 0 {
                throw TimedOut(what: "the end of process \(pid)", seen: errors)
            }
            // What it may have left in its group goes before its number can become another's.
            Glibc.kill(-pid, SIGKILL)
            reap()
        }
        return Outcome(
            pid: pid, status: status ?? 0, output: ByteString(outputBytes), errorOutput: ByteString(errorBytes))
    }
}

/// Calls `body` with a C array of C strings.
func withCArray<Result>(
    _ strings: [ByteString], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { string in
        string.withCString { strdup($0) }
    }
    pointers.append(nil)
    defer { for pointer in pointers { free(pointer) } }
    return body(pointers)
}

/// Asks until it is so; for events that the kernel offers no descriptor for.
func waitUntil(_ what: String, _ condition: () throws -> Bool) throws {
    let deadline = Deadline()
    while try !condition() {
        if deadline.hasPassed { throw TimedOut(what: what, seen: "nothing") }
        usleep(2000)
    }
}
