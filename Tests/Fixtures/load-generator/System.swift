import CLinux
import ReusePortKit

/// CLOCK_MONOTONIC in microseconds.
func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
}

/// Blocks signals, and returns a descriptor that becomes readable when one arrives. Calls signalfd4(2) by number,
/// because its header is not imported.
func signalDescriptor(_ numbers: [Int32]) -> Int32 {
    var set = sigset_t()
    sigemptyset(&set)
    for number in numbers { sigaddset(&set, number) }
    sigprocmask(SIG_BLOCK, &set, nil)
    let kernelSetSize = 8
    return withUnsafePointer(to: &set) { set in
        Int32(
            truncatingIfNeeded: clinux_syscall(
                Int(SYS_signalfd4), -1, Int(bitPattern: set), kernelSetSize, Int(O_CLOEXEC | O_NONBLOCK), 0, 0))
    }
}
