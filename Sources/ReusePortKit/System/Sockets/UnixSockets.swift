import CLinux

/// The kernel's description of a listening Unix socket.
struct UnixSocketRecord: Hashable, Sendable {
    /// The name that was given to bind(2). It may be relative, and its file may have been removed or renamed since.
    /// Abstract names begin with `@`.
    let path: ByteString
    /// The file that it is bound to, under any name; nil for abstract names.
    let file: UnixSocketFile?
    /// SOCK_STREAM, SOCK_SEQPACKET.
    let type: Int32
    /// The socket's own inode.
    let inode: UInt64
    /// Unique until the next boot: SO_COOKIE.
    let cookie: UInt64
    /// Connections that wait to be accepted.
    let acceptQueue: UInt32
    /// The number of connections that may wait.
    let acceptLimit: UInt32
}

/// Identifies the file that a Unix socket is bound to: st_dev of stat(2), and the lower 32 bits of st_ino, which is all
/// that the kernel reports.
struct UnixSocketFile: Hashable, Sendable {
    let device: UInt64
    let inode: UInt32

    init(_ file: FileStatus) { self.init(device: file.device, inode: file.inode) }

    init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = UInt32(truncatingIfNeeded: inode)
    }
}

/// Lists the Unix sockets of this network namespace that listen, or are in another of these states. Needs no privilege.
@inline(never)
func listeningUnixSockets(or others: SocketStates = []) throws(Errno) -> [UnixSocketRecord] {
    var request = unix_diag_req()
    request.sdiag_family = UInt8(AF_UNIX)
    request.udiag_states = others.union(.listening).rawValue
    request.udiag_show = UInt32(UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_RQLEN)
    request.udiag_cookie = (UInt32.max, UInt32.max)
    var result: [UnixSocketRecord] = []
    try DiagnosticSocket().dump(request) { message in
        if let record = UnixSocketRecord(message: message) { result.append(record) }
    }
    return result
}

extension UnixSocketRecord {
    /// Reads a `unix_diag_msg` and the attributes after it.
    fileprivate init?(message: UnsafeRawBufferPointer) {
        let size = MemoryLayout<unix_diag_msg>.size
        guard message.count >= size else { return nil }
        let raw = message.loadUnaligned(as: unix_diag_msg.self)
        type = Int32(raw.udiag_type)
        inode = UInt64(raw.udiag_ino)
        cookie = cookieNumber(raw.udiag_cookie)
        var path = ByteString()
        var file: UnixSocketFile?
        var queue = unix_diag_rqlen()
        forEachAttribute(in: message, from: size) { attribute, content in
            switch attribute {
            case Int32(UNIX_DIAG_NAME):
                path = unixName(Array(content))
            case Int32(UNIX_DIAG_VFS) where content.count >= MemoryLayout<unix_diag_vfs>.size:
                let vfs = content.loadUnaligned(as: unix_diag_vfs.self)
                file = UnixSocketFile(device: userDevice(vfs.udiag_vfs_dev), inode: UInt64(vfs.udiag_vfs_ino))
            case Int32(UNIX_DIAG_RQLEN) where content.count >= MemoryLayout<unix_diag_rqlen>.size:
                queue = content.loadUnaligned(as: unix_diag_rqlen.self)
            default:
                break
            }
        }
        self.path = path
        self.file = file
        acceptQueue = queue.udiag_rqueue
        acceptLimit = queue.udiag_wqueue
    }
}

/// Reads a name: a path with its final zero byte, or an abstract name with its leading zero byte.
private func unixName(_ bytes: [UInt8]) -> ByteString {
    if bytes.first == 0 { return "@\(ByteString(bytes[1...]))" }
    return ByteString(bytes.last == 0 ? bytes[..<(bytes.count - 1)] : bytes[...])
}

/// Converts the kernel's device number (12 bits of major and 20 of minor number) to that of stat(2), see makedev(3).
private func userDevice(_ device: UInt32) -> UInt64 {
    let major = UInt64(device >> 20)
    let minor = UInt64(device & 0xF_FFFF)
    return minor & 0xFF | (major & 0xFFF) << 8 | (minor & ~0xFF) << 12
}
