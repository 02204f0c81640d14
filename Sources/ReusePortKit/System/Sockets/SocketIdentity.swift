import CLinux

/// SO_COOKIE: a number that identifies the socket until the next boot.
func socketCookie(of socket: borrowing Descriptor) throws(Errno) -> UInt64 {
    var cookie: UInt64 = 0
    var size = socklen_t(MemoryLayout<UInt64>.size)
    try checked(getsockopt(socket.number, SOL_SOCKET, CLINUX_SO_COOKIE, &cookie, &size))
    return cookie
}

/// fstat(2): the number in /proc/PID/fd links, `socket:[N]`.
func socketInode(of socket: borrowing Descriptor) throws(Errno) -> UInt64 { try status(of: socket).inode }
