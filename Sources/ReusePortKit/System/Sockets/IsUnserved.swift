import CLinux

/// Returns whether no process, in any network namespace, listens on a Unix socket any more.
///
/// Callers are about to remove the socket, so it is reached through an open directory: the owner of a directory above
/// could make its path lead to another socket for this moment.
func isUnserved(_ name: ByteString, in folder: borrowing Descriptor) -> Bool {
    guard
        let probe = try? socket(
            family: AF_UNIX, type: Int32(SOCK_STREAM.rawValue), flags: Int32(SOCK_NONBLOCK.rawValue))
    else { return false }
    return reason({ () throws(Errno) in try connect(probe, to: .unix(held(name, in: folder))) }) == .connectionRefused
}

/// The path of a name in an open directory; needs /proc.
func held(_ name: ByteString, in folder: borrowing Descriptor) -> ByteString {
    "/proc/self/fd/\(folder.number)/\(name)"
}
