import Foundation
import Testing

@testable import ReusePortKit

/// What the target `view` has seen of itself.
struct View {
    private(set) var values: [String: [ByteString]] = [:]

    init(_ text: ByteString) throws {
        for line in text.split(on: 10) where !line.isEmpty {
            guard let (key, hex) = line.cut(at: 32) else { continue }
            var bytes: [UInt8] = []
            var index = 0
            while index + 1 < hex.count {
                bytes.append(UInt8(hex[index..<index + 2].text, radix: 16) ?? 0)
                index += 2
            }
            values[key.text, default: []].append(ByteString(bytes))
        }
        if values["end"] == nil { throw Unavailable(description: "no view, but: \(text.text)") }
    }

    private func one(_ key: String) -> String { values[key]?.first?.text ?? "" }

    var arguments: [ByteString] { values["argv"] ?? [] }
    var environment: [ByteString] { values["env"] ?? [] }
    var directory: String { one("cwd") }
    var pid: String { one("pid") }
    var umask: String { one("umask") }
    var uid: String { one("uid") }
    var gid: String { one("gid") }
    var groups: String { one("groups") }

    /// Descriptor numbers, in order.
    var descriptors: [Int] {
        values.keys.compactMap { $0.hasPrefix("fd:") ? Int($0.dropFirst(3)) : nil }.sorted()
    }
    func link(_ fd: Int) -> String { one("fd:\(fd)") }
    func flags(_ fd: Int) -> String { one("flags:\(fd)") }
    func port(_ fd: Int) -> String { one("port:\(fd)") }
    func backlog(_ fd: Int) -> String { one("backlog:\(fd)") }
    func device(_ fd: Int) -> String { one("device:\(fd)") }

    /// A socket's property: `listening`, `reuseport`, `domain`…
    func socket(_ fd: Int, _ property: String) -> Int? {
        for part in one("socket:\(fd)").split(separator: " ") where part.hasPrefix("\(property)=") {
            return Int(part.dropFirst(property.count + 1))
        }
        return nil
    }

    /// A field of /proc/self/status, with single blanks.
    func status(_ field: String) -> String {
        for line in one("status").split(separator: "\n") where line.hasPrefix("\(field):") {
            return line.dropFirst(field.count + 1).split(whereSeparator: { $0 == " " || $0 == "\t" })
                .joined(separator: " ")
        }
        return ""
    }

    func variable(_ name: String) -> String? {
        environment.first { $0.hasPrefix(ByteString("\(name)=")) }.map { $0.dropFirst(name.utf8.count + 1).text }
    }

    /// The names that are set.
    var variableNames: Set<String> {
        Set(environment.map { ($0.cut(at: UInt8(ascii: "="))?.head ?? $0).text })
    }
}

extension Sandbox {
    /// Runs the launcher into `view` and gives what that saw. `options` stand before the command.
    func view(
        _ options: [ByteString], arguments: [ByteString] = [], environment: [ByteString] = Sandbox.environment,
        _ steps: [Step] = [], _ location: SourceLocation = #_sourceLocation
    ) throws -> View {
        let target = ByteString(try target("view"))
        let outcome = try run(options + ["--", target] + arguments, environment: environment, steps)
        #expect(outcome.errors == "", sourceLocation: location)
        #expect(outcome.exit == 0, sourceLocation: location)
        let view = try View(outcome.output)
        // The target is the very process that was started: runit and s6 rely on it.
        #expect(view.pid == "\(outcome.pid)", sourceLocation: location)
        return view
    }
}
