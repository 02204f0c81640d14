import CLinux

/// Returns whether no process, in any network namespace, listens on a Unix socket any more.
@inline(never)
func isUnserved(_ name: ByteString, in folder: borrowing Descriptor) -> Bool {
    reason({ () throws(Errno) in try connect(try unixProbe(), to: name, in: folder) }) == .connectionRefused
}

/// A non-blocking stream socket, to which a server cannot pass descriptors (since Linux 6.16).
func unixProbe() throws(Errno) -> Descriptor {
    let probe = try socket(
        family: AF_UNIX, type: Int32(SOCK_STREAM.rawValue), flags: Int32(SOCK_NONBLOCK.rawValue))
    refuseDescriptors(probe)
    return probe
}

/// Connects to the Unix socket that has a name in an open directory; ENOENT if it is no socket, or another file than
/// `file`.
///
/// Nothing on the way is looked up again: the owner of a directory could make the path lead to another socket for this
/// moment, or put a link in the socket's place. Needs /proc.
func connect(
    _ probe: borrowing Descriptor, to name: ByteString, in folder: borrowing Descriptor, file: UnixSocketFile? = nil
) throws(Errno) {
    let entry = try open(name, in: folder, CLINUX_O_PATH | O_NOFOLLOW)
    let info = try status(of: entry)
    guard info.isSocket, file == nil || file == UnixSocketFile(info) else {
        throw .noEntry
    }
    try connect(probe, to: .unix("/proc/self/fd/\(entry.number)"))
}
