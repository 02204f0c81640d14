import CLinux

/// Memory and processor time of processes, and of all that they have started.
struct ProcessUsage {
    /// Bytes in memory; pages that several of them share count for each.
    private(set) var memory: UInt64 = 0
    /// The time of processors so far, in seconds.
    private(set) var seconds: UInt64 = 0

    /// Processes that have gone use nothing.
    init(of processes: [ProcessIdentity], in proc: ProcFileSystem = ProcFileSystem()) {
        var ticks: UInt64 = 0
        for process in processes {
            for one in [process] + descendants(of: process, in: proc) {
                let pages = ((try? proc.read("\(one.pid)/statm")) ?? "").split(on: UInt8(ascii: " "))
                if pages.count > 1 {
                    memory += (pages[1].decimal ?? 0) * UInt64(max(0, sysconf(Int32(_SC_PAGESIZE))))
                }
                // Fields 14 and 15: the time in the program and in the kernel.
                let times = ProcessStatus.fields(of: (try? proc.read("\(one.pid)/stat")) ?? "")
                if times.count > 12 { ticks += (times[11].decimal ?? 0) + (times[12].decimal ?? 0) }
            }
        }
        seconds = ticks / UInt64(max(1, sysconf(Int32(_SC_CLK_TCK))))
    }
}
