/// Puts a process into its group, all its threads with it: the caller, or a child of it. What it has in memory already
/// stays where it is counted.
func joinGroup(
    _ copy: CopyGroup?, _ pid: Int32? = nil, _ groups: ControlGroups = ControlGroups()
) throws(Failure) {
    guard let group = copy?.group else { return }
    try step("join", "group \(group.path)") { () throws(Errno) in
        // 0 is the writer, whatever its number is in a name space.
        try GroupDirectory(group, in: groups).write(ByteString(decimal: pid ?? 0), to: "cgroup.procs")
    }
}
