import CLinux

/// Returns the working directory.
@inline(never)
func currentDirectory() throws(Failure) -> ByteString {
    try step("find", "the working directory", remedy: { _ in "change to one that exists" }) { () throws(Errno) in
        try workingDirectory()
    }
}

/// Whether a path from the root leads to the working directory, maybe through links.
func isWorkingDirectory(_ path: ByteString) -> Bool {
    guard path.hasPrefix("/"), let one = try? status(of: open(path, CLINUX_O_PATH)),
        let other = try? status(of: open(".", CLINUX_O_PATH))
    else { return false }
    return one.isSameFile(as: other)
}

/// The path from the root.
func absolute(_ path: ByteString) throws(Failure) -> ByteString {
    if path.hasPrefix("/") { return path }
    return resolve(path, against: try currentDirectory())
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
