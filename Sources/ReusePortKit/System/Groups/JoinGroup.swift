import CLinux

/// fork(2). The child starts in the group if the kernel can do that (Linux 5.7, groups of version 2). If not, the caller
/// moves the child, which often takes 10 ms, because the kernel first waits for all processors.
func forkChild(
    in copy: CopyGroup?, _ groups: ControlGroups = ControlGroups()
) throws(Errno) -> (pid: Int32, isInGroup: Bool) {
    if let group = copy?.group, group.version == .second, let directory = try? GroupDirectory(group, in: groups) {
        let pid = clinux_fork_into(directory.directory.number)
        if pid >= 0 { return (pid, true) }
    }
    return (try checked(fork()), false)
}

/// Moves a process (the caller if `pid` is nil) with all its threads into its group. The memory that it already has
/// stays charged to its old group.
///
/// Without a limit it does without a group that the kernel does not let it join.
func joinGroup(
    _ copy: CopyGroup?, _ pid: Int32? = nil, _ groups: ControlGroups = ControlGroups()
) throws(Failure) {
    guard let group = copy?.group else { return }
    do throws(Failure) {
        try step("join", "group \(group.path)") { () throws(Errno) in
            // 0 is the writing process, whatever its number is in its pid namespace.
            try GroupDirectory(group, in: groups).write(ByteString(decimal: pid ?? 0), to: "cgroup.procs")
        }
    } catch {
        if copy?.isLimited == true { throw error }
    }
}
