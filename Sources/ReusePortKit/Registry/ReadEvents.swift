/// Why a copy has ended, if the kernel ended it for want of memory; nil if it did not, or its group has gone.
///
/// `end`: how it has ended, where that is known. In a group of several processes the kernel may have ended another one.
func memoryReason(
    of copy: CopyRecord, end: ProcessEnd? = nil, _ groups: ControlGroups = ControlGroups()
) -> EndReason? {
    guard let limits = copy.group, end == nil || end == .killed(9) else { return nil }
    do throws(Errno) {
        let own = try GroupDirectory(limits.group, in: groups)
        let app = try GroupDirectory(limits.app, in: groups)
        // Counted where the process was, whosever limit was reached. (Version 1 since Linux 4.13.)
        let events: ByteString = limits.group.version == .first ? "memory.oom_control" : "memory.events"
        guard let kills = own.number("oom_kill", in: events), kills > 0 else { return nil }
        var beyond: [ByteString] = []
        if let max = limits.max, own.hasReachedItsLimit {
            beyond.append("it went beyond --memory-max \(memorySize(max))")
        }
        // Version 1 counts a reached limit even if some memory could be taken back: then it may have been either.
        if beyond.isEmpty || limits.group.version == .first, let max = limits.appMax, app.hasReachedItsLimit {
            beyond.append("all copies went beyond --app-memory-max \(memorySize(max))")
        }
        return EndReason(.outOfMemory, beyond.isEmpty ? "memory ran out" : joined(beyond, by: ", or "))
    } catch {
        return nil
    }
}

extension GroupDirectory {
    /// Whether this group's own limit, not that of one above or below, has been in the way.
    fileprivate var hasReachedItsLimit: Bool {
        borrowing get {
            switch version {
            case .first:
                return (try? read("memory.failcnt"))?.split(on: UInt8(ascii: "\n"))[0].decimal ?? 0 > 0
            case .second:
                // Before Linux 5.2 there is only the one that counts what is below as well.
                return (number("oom", in: "memory.events.local") ?? number("oom", in: "memory.events")) ?? 0 > 0
            }
        }
    }
}
