import Foundation
import Testing

@testable import ReusePortKit

/// The control groups that the launcher makes for a stage's app, from outside.
final class MemoryGroups {
    let stage: Stage
    let place: String
    let version: ControlGroup.Version

    /// Ends the test, with the reason noted, where the host has no memory controller that can be used: no tool that is
    /// missing, and nothing that can be installed.
    init(_ stage: Stage, limits: Bool = true, _ location: SourceLocation = #_sourceLocation) throws {
        try Tool.requireRoot()
        self.stage = stage
        let groups = ControlGroups()
        let hierarchy = try required(groups.hierarchy(limits: limits), "no control groups can be seen", location)
        let place = try required(
            try? groups.placeForGroups(hierarchy, limits: limits), "the control groups are not ours to use", location)
        self.place = place.text
        version = hierarchy.version
    }

    /// What a failed test has left behind.
    deinit {
        for copy in copies {
            for pid in processes(copy) { kill(pid, SIGKILL) }
            _ = try? waitUntil("\(copy) is removed") { rmdir("\(app)/\(copy)") == 0 || errno == ENOENT }
        }
        rmdir(app)
    }

    /// Its own group; the path of nothing before there is a registry.
    var app: String {
        var status = stat()
        guard stat(stage.runDirectory.text, &status) == 0 else { return "\(place)/none" }
        return "\(place)/reuseport-exec.web.\(status.st_dev)-\(status.st_ino)"
    }

    /// The names of the copies' groups.
    var copies: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: app)) ?? []
        return names.filter { isCopyGroupName(ByteString($0)) }.sorted()
    }

    var areGone: Bool { access(app, F_OK) != 0 }

    func processes(_ copy: String) -> [pid_t] {
        contents("\(copy)/cgroup.procs").split(separator: "\n").compactMap { pid_t($0) }
    }

    /// The app's limit.
    var max: UInt64? { UInt64(contents(version == .first ? "memory.limit_in_bytes" : "memory.max").dropLast()) }

    /// How much memory a copy has.
    func usage(of copy: String) -> UInt64 {
        UInt64(contents("\(copy)/\(version == .first ? "memory.usage_in_bytes" : "memory.current")").dropLast()) ?? 0
    }

    private func contents(_ name: String) -> String {
        (try? String(contentsOfFile: "\(app)/\(name)", encoding: .utf8)) ?? ""
    }
}

private func required<Value>(_ value: Value?, _ reason: Comment, _ location: SourceLocation) throws -> Value {
    guard let value else { try Test.cancel(reason, sourceLocation: location) }
    return value
}

extension Stage {
    /// Has some copy take memory; who that is.
    func grow(_ megabytes: Int) throws -> pid_t {
        let answer = try ask("/grow?mb=\(megabytes)")
        let line = try #require(answer.split(separator: "\n").first { $0.hasPrefix("pid: ") }, "\(answer)")
        return try #require(pid_t(line.dropFirst(5)))
    }
}
