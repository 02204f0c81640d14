import CLinux

/// setpriority(2) for every thread of a process: on Linux each thread has its own nice value, and the pid stands for
/// the first thread only.
///
/// New threads inherit the value of the thread that starts them, so this repeats until it finds no new ones. A lower
/// value (more priority) needs CAP_SYS_NICE or RLIMIT_NICE. EPERM for another user's process.
func setPriority(
    of process: ProcessIdentity, nice: Int32, in proc: ProcFileSystem = ProcFileSystem()
) throws(Errno) {
    let directory = try proc.open(process)
    let tasks = try open("task", in: directory, O_RDONLY | O_DIRECTORY)
    var done: [Int32] = []
    // Bounded, because a program may start threads faster than this loop finds them.
    for _ in 0..<16 {
        var isNew = false
        for thread in try numbers(in: tasks) where !done.contains(thread) {
            done.append(thread)
            isNew = true
            if clinux_set_thread_priority(thread, nice) == -1 {
                let reason = Errno.current
                // ESRCH: the thread has ended meanwhile.
                if reason != .noProcess { throw reason }
            }
        }
        if !isNew { return }
    }
}

/// Writes /proc/PID/oom_score_adj: -1000 (never killed when memory runs out) to 1000 (killed first). EACCES for a lower
/// value than before, without CAP_SYS_RESOURCE.
func setOutOfMemoryScore(
    of process: ProcessIdentity, adjustment: Int32, in proc: ProcFileSystem = ProcFileSystem()
) throws(Errno) {
    let directory = try proc.open(process)
    try writeAll(ByteString(decimal: adjustment), to: try open("oom_score_adj", in: directory, O_WRONLY))
}

/// Raises oom_score_adj, to at most 1000. Only root and the process's own user may do that.
func raiseOutOfMemoryScore(
    of process: ProcessIdentity, by raise: Int32, in proc: ProcFileSystem
) throws(Errno) {
    let text = try proc.read("\(process.pid)/oom_score_adj").split(on: UInt8(ascii: "\n"))[0]
    let isNegative = text.hasPrefix("-")
    guard let size = text.dropFirst(isNegative ? 1 : 0).decimal, size <= 1000 else { throw .invalid }
    let score = isNegative ? -Int32(size) : Int32(size)
    try setOutOfMemoryScore(of: process, adjustment: min(1000, score + raise), in: proc)
}
