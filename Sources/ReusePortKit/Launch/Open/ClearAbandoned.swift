import CLinux

/// Removes names that launchers have made beside a Unix socket's path (`.web.sock.PID`) and that nobody has removed,
/// because they were killed, and so were their helpers.
///
/// Only a socket that nobody listens on, of a process that has gone: one that has not come to listen yet is alive.
func clearAbandoned(beside path: ByteString) {
    guard let folder = try? open(directory(of: path), O_RDONLY | O_DIRECTORY) else { return }
    let prefix: ByteString = ".\(lastComponent(of: path))."
    for name in entryNames(of: folder) where name.hasPrefix(prefix) {
        let rest = name.dropFirst(prefix.count)
        guard let pid = (rest.cut(at: UInt8(ascii: "."))?.head ?? rest).decimal, pid > 0, pid <= UInt64(Int32.max),
            kill(Int32(pid), 0) == -1, Errno.current == .noProcess,
            let facts = try? status(of: name, in: folder), facts.isSocket,
            facts.owner == geteuid() || geteuid() == 0, isUnserved(name, in: folder)
        else { continue }
        // Not ours to remove after all, or gone already: it was in nobody's way.
        _ = reason { () throws(Errno) in try unlink(name, in: folder) }
    }
}

/// Whether nobody listens on a Unix socket any more, in whatever network namespace.
///
/// It is about to be removed, so it is reached by the directory that is held open: who owns a directory above it could
/// show another one under its path for this moment.
func isUnserved(_ name: ByteString, in folder: borrowing Descriptor) -> Bool {
    guard
        let probe = try? socket(
            family: AF_UNIX, type: Int32(SOCK_STREAM.rawValue), flags: Int32(SOCK_NONBLOCK.rawValue))
    else { return false }
    return reason({ () throws(Errno) in try connect(probe, to: .unix(held(name, in: folder))) }) == .connectionRefused
}

/// The path of a name in a directory that is held open; needs /proc.
func held(_ name: ByteString, in folder: borrowing Descriptor) -> ByteString {
    "/proc/self/fd/\(folder.number)/\(name)"
}
