import CLinux

/// getenv(3).
func environmentVariable(_ name: ByteString) -> ByteString? {
    name.withCString { getenv($0) }.map { ByteString(cString: $0) }
}

/// The caller's environment.
func callersEnvironment() -> [ByteString] {
    var entries: [ByteString] = []
    guard var next = clinux_environ() else { return [] }
    while let entry = next.pointee {
        entries.append(ByteString(cString: entry))
        next += 1
    }
    return entries
}

/// putenv(3): sets the variables in `NAME=VALUE`, and removes those of which there is only the name.
func changeEnvironment(_ entries: [ByteString]) {
    // The environment refers to the copies from now on.
    for entry in entries { _ = entry.withCString { putenv(strdup($0)) } }
}
