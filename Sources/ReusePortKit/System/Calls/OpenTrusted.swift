import CLinux

// The one way to open what decides what a privileged process does.

/// Opens a regular file to read: no link, no pipe that would keep us waiting, and nothing that others than root and the
/// caller own or may write.
@inline(never)
func openTrusted(
    _ name: ByteString, in directory: borrowing Descriptor, object: ByteString
) throws(Failure) -> Descriptor {
    let file = try openRegular(name, in: directory, object: object)
    try trust(file, object)
    return file
}

/// Opens a regular file to read that may be others', for example a log.
func openRegular(
    _ name: ByteString, in directory: borrowing Descriptor, object: ByteString
) throws(Failure) -> Descriptor {
    let file = try step("open", object) { () throws(Errno) in
        try open(name, in: directory, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
    }
    let info = try step("examine", object) { () throws(Errno) in try status(of: file) }
    guard info.isRegular else { throw Failure(.system, "read", object, "it is no regular file") }
    return file
}

private func trust(_ file: borrowing Descriptor, _ object: ByteString) throws(Failure) {
    let info = try step("examine", object) { () throws(Errno) in try status(of: file) }
    if !info.isOwn {
        throw Failure(
            .system, "trust", object, "it belongs to uid \(info.owner)",
            remedy: "it must belong to root or to the caller")
    }
    if info.isWritableByOthers {
        throw Failure(.system, "trust", object, "others may write it", remedy: "chmod go-w it")
    }
}

/// Reads a file at a path of which no part can be replaced by others, or what the caller has opened: `/dev/stdin`,
/// `/dev/fd/N` and `/proc/self/fd/N` may also be an anonymous pipe, or a terminal.
func readTrusted(_ path: ByteString) throws(Failure) -> ByteString {
    let file = if let number = openedNumber(path) { try openAgain(number, path) } else { try openStrictly(path) }
    return try step("read", path) { () throws(Errno) in try readAll(file, atMost: 1 << 20) }
}

private func openStrictly(_ path: ByteString) throws(Failure) -> Descriptor {
    let place = try followPath(try absolute(path), object: path)
    if let weakness = place.weakness {
        throw Failure(
            .system, "trust", path, weakness,
            remedy: "only root or the caller may own and write to it and the directories above it")
    }
    return try openTrusted(place.name, in: place.directory, object: path)
}

private func openedNumber(_ path: ByteString) -> Int32? {
    if path == "/dev/stdin" { return 0 }
    for prefix in ["/dev/fd/", "/proc/self/fd/"] as [ByteString] where path.hasPrefix(prefix) {
        return (try? parseDescriptor(path.dropFirst(prefix.count)))
    }
    return nil
}

private func openAgain(_ number: Int32, _ path: ByteString) throws(Failure) -> Descriptor {
    let file = try step("open", path) { () throws(Errno) in
        Descriptor(owning: try checked(clinux_fcntl(number, F_DUPFD_CLOEXEC, 3)))
    }
    let info = try step("examine", path) { () throws(Errno) in try status(of: file) }
    if info.isRegular {
        try trust(file, path)
        _ = lseek(file.number, 0, SEEK_SET)
        return file
    }
    // A pipe that has a name may be anybody's.
    let link = try step("examine", path) { () throws(Errno) in
        try readLink(ByteString(decimal: number), in: open("/proc/self/fd", CLINUX_O_PATH))
    }
    guard link.hasPrefix("pipe:") || info.isCharacterDevice else {
        throw Failure(.system, "read", path, "it is no regular file and no anonymous pipe")
    }
    return file
}
