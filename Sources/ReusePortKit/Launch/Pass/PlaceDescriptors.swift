import CLinux

/// Refuses to keep descriptors that the caller has not opened. Must be called before we open anything: a descriptor of
/// ours could get the number, and reach the target.
func checkKept(_ kept: [Int32]) throws(Failure) {
    for number in kept {
        try step(
            "keep", "descriptor \(number)", remedy: { $0 == .badDescriptor ? "the caller has not opened it" : nil }
        ) {
            () throws(Errno) in try checked(clinux_fcntl(number, F_GETFD, 0))
        }
    }
}

/// Moves descriptors to their numbers, and keeps all others from the target. No other step makes anything inheritable.
func placeDescriptors(_ placements: inout OwnedArray<Placement>, keeping kept: [Int32]) throws(Failure) {
    try shutAll()
    for number in kept {
        try step("keep", "descriptor \(number)") { () throws(Errno) in try checked(clinux_fcntl(number, F_SETFD, 0)) }
    }
    var above: Int32 = 3
    for index in 0..<placements.count { above = max(above, placements[index].target + 1) }
    for index in 0..<placements.count {
        let target = placements[index].target
        let source = placements[index].source.number
        if source == target {
            _ = clinux_fcntl(target, F_SETFD, 0)
            continue
        }
        // A descriptor that is still to be moved gives up this one's target.
        for other in (index + 1)..<max(index + 1, placements.count) where placements[other].source.number == target {
            placements[other].source = try step("move", "descriptor \(target)", remedy: descriptorRemedy) {
                () throws(Errno) in try placements[other].source.duplicate(from: above)
            }
        }
        try step("move", "a descriptor to \(target)", remedy: { placeRemedy($0, target) }) { () throws(Errno) in
            // dup2(2) leaves the copy open across the exec.
            try checked(dup2(source, target))
        }
    }
}

/// close_range(2) with CLOSE_RANGE_CLOEXEC: keeps all descriptors above 2 from the target.
func shutAll() throws(Failure) {
    let closeOnExec = 4
    let result = clinux_syscall(Int(CLINUX_SYS_close_range), 3, Int(UInt32.max), closeOnExec, 0, 0, 0)
    if result == 0 { return }
    // Kernels before 5.11 do not know the call or the flag.
    var limit = rlimit()
    _ = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    for number in 3..<Int32(clamping: min(limit.rlim_cur, 1 << 20)) {
        _ = clinux_fcntl(number, F_SETFD, Int(FD_CLOEXEC))
    }
}

func placeRemedy(_ errno: Errno, _ target: Int32) -> ByteString? {
    // For a number beyond RLIMIT_NOFILE, dup2(2) fails with EBADF and fcntl(2) with EINVAL.
    errno == .badDescriptor || errno == .invalid ? "the number is beyond ulimit -n" : descriptorRemedy(errno)
}
