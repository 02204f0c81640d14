import CLinux
import ReusePortKit

/// CLOCK_MONOTONIC in microseconds.
func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
}

/// Lists the open descriptors in ascending order, without the one that is used for that.
///
/// Reads /proc/self/fd with getdents64(2), because the C library's directory streams allocate memory for each answer.
/// Without /proc, tries the first 1024 numbers.
func openDescriptors() -> [Int32] {
    let directory = clinux_open("/proc/self/fd", O_RDONLY | O_CLOEXEC, 0)
    guard directory >= 0 else { return (0..<1024).filter { clinux_fcntl($0, F_GETFD, 0) != -1 } }
    defer { _ = close(directory) }
    var numbers: [Int32] = []
    withUnsafeTemporaryAllocation(byteCount: 16384, alignment: 8) { buffer in
        while true {
            let size = clinux_syscall(
                Int(SYS_getdents64), Int(directory), Int(bitPattern: buffer.baseAddress!), buffer.count, 0, 0, 0)
            guard size > 0 else { return }
            var offset = 0
            while offset < size {
                // struct linux_dirent64: u64 inode, s64 offset, u16 record length, u8 type, name.
                let length = Int(buffer.loadUnaligned(fromByteOffset: offset + 16, as: UInt16.self))
                let name = buffer.baseAddress! + offset + 19
                if let number = ByteString(cString: name.assumingMemoryBound(to: CChar.self)).decimal,
                    number != UInt64(directory)
                {
                    numbers.append(Int32(number))
                }
                offset += length
            }
        }
    }
    numbers.sort()
    return numbers
}

/// getgroups(2).
func supplementaryGroups() -> [gid_t] {
    let count = getgroups(0, nil)
    guard count > 0 else { return [] }
    var groups = [gid_t](repeating: 0, count: Int(count))
    let found = getgroups(count, &groups)
    return Array(groups.prefix(Int(max(0, found))))
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

/// Returns the next signal that has arrived, if any.
func takeSignal(from descriptor: Int32) -> Int32? {
    withUnsafeTemporaryAllocation(byteCount: 128, alignment: 8) { buffer in
        guard read(descriptor, buffer.baseAddress!, 128) == 128 else { return nil }
        return Int32(bitPattern: buffer.load(as: UInt32.self))
    }
}
