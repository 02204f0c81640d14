import CLinux

/// setpriority(2) for every thread of a process: on Linux the nice value belongs to the thread, and a process's number
/// stands for its first thread only.
///
/// New threads take the value of the one that starts them, so this goes on until a round finds no new ones. Lowering
/// the value again (more priority) needs CAP_SYS_NICE or RLIMIT_NICE. EPERM for another user's process.
func setPriority(
    of process: ProcessIdentity, nice: Int32, in proc: ProcFileSystem = ProcFileSystem()
) throws(Errno) {
    let directory = try proc.open(process)
    let tasks = try open("task", in: directory, O_RDONLY | O_DIRECTORY)
    var done: [Int32] = []
    // Bounded, for a program that starts threads faster than we follow would keep us here.
    for _ in 0..<16 {
        var isNew = false
        for thread in try numbers(in: tasks) where !done.contains(thread) {
            done.append(thread)
            isNew = true
            if clinux_set_thread_priority(thread, nice) == -1 {
                let reason = Errno.current
                // The thread has ended meanwhile.
                if reason != .noProcess { throw reason }
            }
        }
        if !isNew { return }
    }
}

/// The nice value of each thread of a process.
func priorities(
    of process: ProcessIdentity, in proc: ProcFileSystem = ProcFileSystem()
) throws(Errno) -> [Int32] {
    let directory = try proc.open(process)
    var result: [Int32] = []
    for thread in try numbers(in: try open("task", in: directory, O_RDONLY | O_DIRECTORY)) {
        let nice = clinux_thread_priority(thread)
        if clinux_errno() == 0 { result.append(nice) }
    }
    return result
}

/// Writes /proc/PID/oom_score_adj: -1000 (never killed when memory runs out) to 1000 (killed first). Lowering it below
/// what it last was needs CAP_SYS_RESOURCE (EACCES).
func setOutOfMemoryScore(
    of process: ProcessIdentity, adjustment: Int32, in proc: ProcFileSystem = ProcFileSystem()
) throws(Errno) {
    let directory = try proc.open(process)
    let number = try open("oom_score_adj", in: directory, O_WRONLY)
    let text = ByteString(decimal: adjustment)
    _ = try text.bytes.withUnsafeBufferPointer { bytes throws(Errno) in
        try uninterrupted { CLinux.write(number.number, bytes.baseAddress, bytes.count) }
    }
}

/// Raises it to at most 1000. Root's to do, or the process's own user's.
func raiseOutOfMemoryScore(
    of process: ProcessIdentity, by raise: Int32, in proc: ProcFileSystem
) throws(Errno) {
    let text = try proc.read("\(process.pid)/oom_score_adj").split(on: UInt8(ascii: "\n"))[0]
    let isNegative = text.hasPrefix("-")
    guard let size = text.dropFirst(isNegative ? 1 : 0).decimal, size <= 1000 else { throw .invalid }
    let score = isNegative ? -Int32(size) : Int32(size)
    try setOutOfMemoryScore(of: process, adjustment: min(1000, score + raise), in: proc)
}
