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
            let info = try? status(of: name, in: folder), info.isSocket,
            info.owner == geteuid() || geteuid() == 0, isUnserved(name, in: folder)
        else { continue }
        // Not ours to remove after all, or gone already: it was in nobody's way.
        _ = reason { () throws(Errno) in try unlink(name, in: folder) }
    }
}
