import CLinux

// These change the calling thread only, by system call. The C library's functions would change all threads, but the
// thread of `Cleaner` has to keep its privileges.

/// setgroups(2), of this thread.
func setGroups(_ groups: [UInt32]) throws(Errno) {
    _ = try groups.withUnsafeBufferPointer { list throws(Errno) in
        try checked(clinux_syscall(Int(SYS_setgroups), list.count, Int(bitPattern: list.baseAddress), 0, 0, 0, 0))
    }
}

/// setresgid(2), of this thread: real, effective and saved.
func setGroup(_ group: UInt32) throws(Errno) {
    let id = Int(group)
    try checked(clinux_syscall(Int(SYS_setresgid), id, id, id, 0, 0, 0))
}

/// setresuid(2), of this thread: real, effective and saved.
func setUser(_ user: UInt32) throws(Errno) {
    let id = Int(user)
    try checked(clinux_syscall(Int(SYS_setresuid), id, id, id, 0, 0, 0))
}

/// capset(2): drops all permitted, effective and inheritable capabilities; the kernel drops the ambient ones then.
func clearCapabilities() throws(Errno) {
    // A struct __user_cap_header_struct of version 3 for this thread, and two empty struct __user_cap_data_struct.
    var header: (UInt32, Int32) = (0x2008_0522, 0)
    var data: (UInt64, UInt64, UInt64) = (0, 0, 0)
    _ = try withUnsafeMutableBytes(of: &header) { header throws(Errno) in
        try withUnsafeMutableBytes(of: &data) { data throws(Errno) in
            try checked(
                clinux_syscall(
                    Int(SYS_capset), Int(bitPattern: header.baseAddress), Int(bitPattern: data.baseAddress), 0, 0, 0, 0)
            )
        }
    }
}

/// getresuid(2).
func userIDs() -> (real: UInt32, effective: UInt32, saved: UInt32) {
    var ids: (UInt32, UInt32, UInt32) = (0, 0, 0)
    _ = getresuid(&ids.0, &ids.1, &ids.2)
    return ids
}

/// getresgid(2).
func groupIDs() -> (real: UInt32, effective: UInt32, saved: UInt32) {
    var ids: (UInt32, UInt32, UInt32) = (0, 0, 0)
    _ = getresgid(&ids.0, &ids.1, &ids.2)
    return ids
}

/// getgroups(2).
func currentGroups() throws(Errno) -> [UInt32] {
    let count = try checked(getgroups(0, nil))
    var list = [gid_t](repeating: 0, count: Int(count))
    let filled = try checked(getgroups(count, &list))
    return Array(list.prefix(Int(filled)))
}
