import CLinux

/// `path` seen from `directory`.
func resolve(_ path: ByteString, against directory: ByteString) -> ByteString {
    if path.hasPrefix("/") || directory == "." { return path }
    return directory.hasSuffix("/") ? "\(directory)\(path)" : "\(directory)/\(path)"
}

/// Everything before the last slash, as dirname(1) has it.
func directory(of path: ByteString) -> ByteString {
    guard let slash = path.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == 0 ? "/" : path.prefix(slash)
}

/// Everything behind the last slash.
func lastComponent(of path: ByteString) -> ByteString {
    guard let slash = path.lastIndex(of: UInt8(ascii: "/")) else { return path }
    return path.dropFirst(slash + 1)
}

/// getcwd(3).
func workingDirectory() throws(Errno) -> ByteString {
    var size = 4096
    while true {
        var buffer = [CChar](repeating: 0, count: size)
        if getcwd(&buffer, size) != nil {
            return buffer.withUnsafeBufferPointer { ByteString(cString: $0.baseAddress!) }
        }
        let reason = Errno.current
        if reason.rawValue != ERANGE { throw reason }
        size *= 2
    }
}
