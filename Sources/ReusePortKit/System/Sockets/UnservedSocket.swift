import CLinux

/// Whether nobody listens on a Unix socket any more, in whatever network namespace.
///
/// The caller is about to remove it, so it is reached through the directory that is held open: the owner of a directory
/// above could show another socket under its path for this moment.
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
