/// How the kernel ended a copy for want of memory. Neither limit is set if the machine had none left.
struct OutOfMemory: Sendable, Equatable {
    /// The value of `--memory-max`, if the copy went beyond it.
    var copyLimit: UInt64?
    /// The value of `--app-memory-max`, if all copies together went beyond it.
    var appLimit: UInt64?
}

extension OutOfMemory {
    /// As the registry keeps it; `init?(fields:)` reads it.
    var fields: [ByteString] {
        [copyLimit.map { ByteString(decimal: $0) } ?? "", appLimit.map { ByteString(decimal: $0) } ?? ""]
    }

    init?(fields: [ByteString]) {
        guard fields.count == 2, fields.allSatisfy({ $0.isEmpty || $0.decimal != nil }) else { return nil }
        self.init(copyLimit: fields[0].decimal, appLimit: fields[1].decimal)
    }

    var description: ByteString {
        var limits: [ByteString] = []
        if let copyLimit { limits.append("it went beyond --memory-max \(memorySize(copyLimit))") }
        if let appLimit { limits.append("all copies went beyond --app-memory-max \(memorySize(appLimit))") }
        return "killed by the kernel: \(limits.isEmpty ? "memory ran out" : joined(limits, by: ", or "))"
    }
}

/// Reads from a copy's control group whether the kernel ended it for want of memory. Nil if it did not, or if the group
/// has gone.
///
/// `end` is how the copy ended, if that is known: in a group of several processes the kernel may have ended another one.
func outOfMemory(
    of copy: CopyRecord, end: ProcessEnd? = nil, in groups: ControlGroups = ControlGroups()
) -> OutOfMemory? {
    guard let limits = copy.group, end == nil || end == .killed(9) else { return nil }
    do throws(Errno) {
        let own = try GroupDirectory(limits.group, in: groups)
        let app = try GroupDirectory(limits.app, in: groups)
        // The kernel counts a kill in the group of the process, even if a limit above was reached. (Version 1 since
        // Linux 4.13.)
        let events: ByteString = limits.group.version == .first ? "memory.oom_control" : "memory.events"
        guard let kills = own.number("oom_kill", in: events), kills > 0 else { return nil }
        var result = OutOfMemory()
        if own.hasReachedItsLimit { result.copyLimit = limits.max }
        // Version 1 counts a reached limit even if memory could be reclaimed, so either limit may have been the cause.
        if result.copyLimit == nil || limits.group.version == .first, app.hasReachedItsLimit {
            result.appLimit = limits.appMax
        }
        return result
    } catch {
        return nil
    }
}

extension GroupDirectory {
    /// Whether this group's own limit was reached, and not only that of a group above or below.
    fileprivate var hasReachedItsLimit: Bool {
        borrowing get {
            switch version {
            case .first:
                return (try? read("memory.failcnt"))?.split(on: UInt8(ascii: "\n"))[0].decimal ?? 0 > 0
            case .second:
                // Before Linux 5.2 there is only the file that includes the groups below.
                return (number("oom", in: "memory.events.local") ?? number("oom", in: "memory.events")) ?? 0 > 0
            }
        }
    }
}
