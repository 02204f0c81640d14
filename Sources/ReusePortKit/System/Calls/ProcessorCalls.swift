import CLinux

/// sched_getaffinity(2): how many processors this process may use.
func processorCount() -> Int {
    var mask = [UInt64](repeating: 0, count: 128)
    let size = mask.count * 8
    let count = mask.withUnsafeMutableBytes {
        clinux_syscall(Int(SYS_sched_getaffinity), 0, size, Int(bitPattern: $0.baseAddress), 0, 0, 0)
    }
    guard count > 0 else { return 1 }
    return max(1, mask.reduce(0) { $0 + $1.nonzeroBitCount })
}
