import CLinux

/// Returns the working directory.
func currentDirectory() throws(Failure) -> ByteString {
    try step("find", "the working directory") { () throws(Errno) in try workingDirectory() }
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
