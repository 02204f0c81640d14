/// Returns `path` as seen from `directory`.
@inline(never)
func resolve(_ path: ByteString, against directory: ByteString) -> ByteString {
    if path.hasPrefix("/") || directory == "." { return path }
    return directory.hasSuffix("/") ? "\(directory)\(path)" : "\(directory)/\(path)"
}

/// Returns everything before the last slash, as dirname(1) does.
@inline(never)
func directory(of path: ByteString) -> ByteString {
    guard let slash = path.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == 0 ? "/" : path.prefix(slash)
}

/// Returns everything after the last slash.
@inline(never)
func lastComponent(of path: ByteString) -> ByteString {
    guard let slash = path.lastIndex(of: UInt8(ascii: "/")) else { return path }
    return path.dropFirst(slash + 1)
}
