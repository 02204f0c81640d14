import CLinux

/// `uid 33 (www-data)`; `uid 33` if the user database does not know it.
func userDescription(_ uid: UInt32) -> ByteString {
    guard let name = userName(uid) else { return "uid \(uid)" }
    return "uid \(uid) (\(name))"
}

/// getpwuid_r(3).
private func userName(_ uid: UInt32) -> ByteString? {
    var size = 1024
    while size <= 1 << 20 {
        let buffer = UnsafeMutablePointer<CChar>.allocate(capacity: size)
        defer { buffer.deallocate() }
        var entry = passwd()
        var result: UnsafeMutablePointer<passwd>?
        let code = getpwuid_r(uid, &entry, buffer, size, &result)
        if code == 0, result != nil, let name = entry.pw_name { return ByteString(cString: name) }
        // Only a longer entry is worth another attempt.
        if code != ERANGE { return nil }
        size *= 4
    }
    return nil
}
