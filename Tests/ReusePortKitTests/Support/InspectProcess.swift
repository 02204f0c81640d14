import CLinux

@testable import ReusePortKit

/// /proc/PID/cmdline: the arguments of a process. Empty once it has ended.
func commandLine(of pid: Int32) throws -> [ByteString] {
    let line = try ProcFileSystem().read("\(pid)/cmdline")
    return line.isEmpty ? [] : line.prefix(line.count - 1).split(on: 0)
}

/// The nice value of each thread of a process.
func priorities(of process: ProcessIdentity) throws -> [Int32] {
    let tasks = try open("task", in: try ProcFileSystem().open(process), O_RDONLY | O_DIRECTORY)
    return try numbers(in: tasks).compactMap { thread in
        // The system call returns 20 minus the nice value, so that -1 is always an error.
        let result = clinux_syscall(Int(SYS_getpriority), Int(PRIO_PROCESS.rawValue), Int(thread), 0, 0, 0, 0)
        return result == -1 ? nil : 20 - Int32(result)
    }
}
