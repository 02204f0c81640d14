import CLinux

/// Removes names that launchers made beside a Unix socket's path (`.web.sock.PID`) and left because they and their
/// helpers were killed.
///
/// Removes only sockets without a listener, and only if their process is gone: one that lives may not listen yet.
func clearAbandoned(beside path: ByteString) {
    guard let place = try? followPath(path, object: path, followsLast: false) else { return }
    let folder = place.directory
    let prefix: ByteString = ".\(lastComponent(of: path))."
    for name in entryNames(of: folder) where name.hasPrefix(prefix) {
        let rest = name.dropFirst(prefix.count)
        guard let pid = (rest.cut(at: UInt8(ascii: "."))?.head ?? rest).decimal, pid > 0, pid <= UInt64(Int32.max),
            kill(Int32(pid), 0) == -1, Errno.current == .noProcess,
            let info = try? status(of: name, in: folder), info.isSocket,
            info.owner == geteuid() || geteuid() == 0, isUnserved(name, in: folder)
        else { continue }
        // A failure does not matter: the name is in nobody's way.
        _ = reason { () throws(Errno) in try unlink(name, in: folder) }
    }
}
