import CLinux

/// An entry of the user database.
struct Account: Sendable, Equatable {
    var name: ByteString
    var user: UInt32
    var group: UInt32
    var home: ByteString
    var shell: ByteString
}

/// Calls a lookup function such as getpwnam_r(3) with larger and larger buffers until the answer fits.
private func lookUp<Result>(
    _ call: (UnsafeMutablePointer<CChar>, Int) -> (code: Int32, result: Result?)
) throws(Errno) -> Result? {
    var size = 1024
    while true {
        let (code, result) = withUnsafeTemporaryAllocation(of: CChar.self, capacity: size) { buffer in
            call(buffer.baseAddress!, size)
        }
        switch code {
        case 0: return result
        case ERANGE where size < 1 << 24: size *= 4
        // getpwnam(3) lists these codes for `no such entry`.
        case ENOENT, ESRCH, EBADF, EPERM: return nil
        case EINTR: continue
        default: throw Errno(rawValue: code)
        }
    }
}

@inline(never)
private func account(_ raw: passwd) -> Account {
    func text(_ pointer: UnsafeMutablePointer<CChar>?) -> ByteString { pointer.map { ByteString(cString: $0) } ?? "" }
    return Account(
        name: text(raw.pw_name), user: raw.pw_uid, group: raw.pw_gid, home: text(raw.pw_dir), shell: text(raw.pw_shell))
}

/// getpwnam_r(3).
func account(named name: ByteString) throws(Errno) -> Account? {
    try lookUp { buffer, size in
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        let code = name.withCString { getpwnam_r($0, &entry, buffer, size, &found) }
        return (code, found == nil ? nil : account(entry))
    }
}

/// getpwuid_r(3).
@inline(never)
func account(id: UInt32) throws(Errno) -> Account? {
    try lookUp { buffer, size in
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        let code = getpwuid_r(id, &entry, buffer, size, &found)
        return (code, found == nil ? nil : account(entry))
    }
}

/// getgrnam_r(3).
func groupID(named name: ByteString) throws(Errno) -> UInt32? {
    try lookUp { buffer, size in
        var entry = CLinux.group()
        var found: UnsafeMutablePointer<CLinux.group>?
        let code = name.withCString { getgrnam_r($0, &entry, buffer, size, &found) }
        return (code, found == nil ? nil : entry.gr_gid)
    }
}

/// getgrouplist(3): the groups of a user; `group` is the first.
func groups(of name: ByteString, with group: UInt32) -> [UInt32] {
    var count: Int32 = 64
    while true {
        let capacity = count
        var list = [gid_t](repeating: 0, count: Int(capacity))
        if name.withCString({ getgrouplist($0, group, &list, &count) }) >= 0 { return Array(list.prefix(Int(count))) }
        // The C library sets `count` to the number needed; an old one leaves it as it was.
        if count <= capacity { count = capacity * 2 }
    }
}
