import Foundation
import Testing

/// Why a test cannot run here; with CI=true it is a failure instead.
struct Unavailable: Error, CustomStringConvertible {
    let description: String
}

enum Tool {
    static var isContinuousIntegration: Bool { ProcessInfo.processInfo.environment["CI"] == "true" }
    static var isRoot: Bool { geteuid() == 0 }

    /// The package's directory, seen from this file.
    static let package: String = {
        var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        parts.removeLast(4)
        return parts.joined(separator: "/")
    }()

    static func find(_ name: String) -> String? {
        for directory in ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"] {
            let path = "\(directory)/\(name)"
            if access(path, X_OK) == 0 { return path }
        }
        return nil
    }

    /// The path of an installed program; nothing, with the reason noted, where there is none.
    static func require(_ name: String, _ location: SourceLocation = #_sourceLocation) throws -> String {
        guard let path = find(name) else { throw try missing("\(name) is not installed", location) }
        return path
    }

    /// Ends a test that needs root and has it not.
    static func requireRoot(_ location: SourceLocation = #_sourceLocation) throws {
        if !isRoot { throw try missing("needs root", location) }
    }

    static func missing(_ reason: String, _ location: SourceLocation = #_sourceLocation) throws -> any Error {
        if isContinuousIntegration { return Unavailable(description: reason) }
        try Test.cancel(Comment(rawValue: reason), sourceLocation: location)
    }

    /// The release binary under test.
    static func launcher() throws -> String {
        let path =
            ProcessInfo.processInfo.environment["REUSEPORT_EXEC"]
            ?? "\(package)/.build/embedded/release/reuseport-exec"
        guard access(path, X_OK) == 0 else {
            throw Unavailable(description: "\(path) is missing: build it with make, or set REUSEPORT_EXEC")
        }
        return path.hasPrefix("/") ? path : "\(FileManager.default.currentDirectoryPath)/\(path)"
    }

    /// A program of this package as the package manager builds it, beside the tests.
    static func product(_ name: String) throws -> String {
        // The tests are a library or the program itself, by version of the package manager: mapped in any case.
        let maps = try String(contentsOfFile: "/proc/self/maps", encoding: .utf8)
        guard let line = maps.split(separator: "\n").first(where: { $0.hasSuffix(".xctest") }),
            let start = line.firstIndex(of: "/")
        else { throw Unavailable(description: "where the tests are is unknown") }
        let path = URL(fileURLWithPath: String(line[start...])).deletingLastPathComponent().path + "/\(name)"
        guard access(path, X_OK) == 0 else {
            throw Unavailable(description: "\(path) is missing: build it with swift build")
        }
        return path
    }

    /// A program of an example that is a package of its own, as `make examples` builds it.
    static func example(_ name: String, _ location: SourceLocation = #_sourceLocation) throws -> String {
        let path = "\(package)/.build/examples/\(name)/debug/\(name)"
        if access(path, X_OK) != 0 { throw try missing("\(name) is not built: make examples", location) }
        return path
    }

    /// A target from Tests/Fixtures/targets, built once per run when it is a C program.
    static func target(_ name: String) throws -> String {
        let source = "\(package)/Tests/Fixtures/targets/\(name)"
        if access("\(source).c", R_OK) != 0 { return source }
        return try Compiled.shared.path(of: name, from: "\(source).c")
    }
}

/// C programs compiled into one folder, which goes when the test process ends.
final class Compiled: @unchecked Sendable {
    static let shared = Compiled()
    private let lock = NSLock()
    private let folder: String
    private var done: [String: Result<String, Unavailable>] = [:]

    private init() {
        folder = makeFolder(prefix: "reuseport-exec-targets")
        // What is left by a run that was killed is small and lies where the system cleans up.
        let path = folder
        Compiled.toRemove = path
        atexit { removeTree(Compiled.toRemove) }
    }

    nonisolated(unsafe) private static var toRemove = ""

    func path(of name: String, from source: String) throws -> String {
        lock.lock()
        defer { lock.unlock() }
        if let result = done[name] { return try result.get() }
        let output = "\(folder)/\(name)"
        guard let compiler = Tool.find("cc") ?? Tool.find("clang") ?? clangOfToolchain() else {
            throw try Tool.missing("there is no C compiler")
        }
        // Static, so that it also runs in an empty root directory; a system without libc.a gets the other kind.
        var last = ""
        for extra in [["-static"], []] {
            let outcome = try Sandbox.plainRun([compiler, "-O1", "-Wall", "-o", output, source] + extra)
            if outcome.exit == 0 {
                done[name] = .success(output)
                return output
            }
            last = outcome.errors
        }
        let failure = Unavailable(description: "\(compiler) does not build \(name).c: \(last)")
        done[name] = .failure(failure)
        throw failure
    }

    private func clangOfToolchain() -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        for directory in path.split(separator: ":") where access("\(directory)/clang", X_OK) == 0 {
            return "\(directory)/clang"
        }
        return nil
    }
}

/// A new folder that other users can enter.
func makeFolder(prefix: String) -> String {
    var template = Array("/tmp/\(prefix).XXXXXX".utf8CString)
    let path = template.withUnsafeMutableBufferPointer { buffer in
        mkdtemp(buffer.baseAddress!).map { String(cString: $0) }
    }
    guard let path else { fatalError("mkdtemp: \(String(cString: strerror(errno)))") }
    chmod(path, 0o755)
    return path
}

func removeTree(_ path: String) {
    guard path.hasPrefix("/tmp/") else { return }
    try? FileManager.default.removeItem(atPath: path)
}
