import CLinux

/// The processes that are in a group now; none if it has gone.
func processes(
    of group: ControlGroup, _ groups: ControlGroups = ControlGroups(), in proc: ProcFileSystem = ProcFileSystem()
) -> [ProcessIdentity] {
    guard let text = try? GroupDirectory(group, in: groups).read("cgroup.procs") else { return [] }
    return text.split(on: UInt8(ascii: "\n")).compactMap { line in
        // 0 is a process in a pid namespace that cannot be seen from here.
        guard let pid = line.decimal, pid > 0, pid <= UInt64(Int32.max) else { return nil }
        return try? ProcessIdentity(of: Int32(pid), in: proc)
    }
}

/// Kills all that is in a copy's group, also what is started meanwhile (cgroup.kill, version 2, Linux 5.14). Needs no
/// right to signal the processes, only to write the group's files. Returns whether that was done.
func killAll(in group: ControlGroup, _ groups: ControlGroups = ControlGroups()) -> Bool {
    // A damaged registry must not have anything else killed.
    guard isCopyGroupName(lastComponent(of: group.path)), groups.contain(group.path) else { return false }
    return reason { () throws(Errno) in try GroupDirectory(group, in: groups).write("1", to: "cgroup.kill") } == nil
}
