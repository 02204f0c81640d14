import CLinux

/// socket(2), close-on-exec always.
func socket(family: Int32, type: Int32, flags: Int32 = 0) throws(Errno) -> Descriptor {
    let flags = flags | Int32(SOCK_CLOEXEC.rawValue)
    return Descriptor(owning: try checked(CLinux.socket(family, type | flags, 0)))
}

/// socketpair(2) of connected Unix sockets, close-on-exec always.
func socketPair(_ type: Int32) throws(Errno) -> (Int32, Int32) {
    var pair: (Int32, Int32) = (-1, -1)
    try withUnsafeMutableBytes(of: &pair) { raw throws(Errno) in
        let numbers = raw.baseAddress!.assumingMemoryBound(to: Int32.self)
        try checked(
            CLinux.socketpair(AF_UNIX, type | Int32(SOCK_CLOEXEC.rawValue), 0, numbers))
    }
    return pair
}

/// setsockopt(2) with a whole number.
@inline(never)
func setOption(_ socket: borrowing Descriptor, _ level: Int32, _ name: Int32, _ value: Int32) throws(Errno) {
    var value = value
    try checked(setsockopt(socket.number, level, name, &value, socklen_t(MemoryLayout<Int32>.size)))
}

/// setsockopt(2) with text.
func setOption(_ socket: borrowing Descriptor, _ level: Int32, _ name: Int32, _ value: ByteString) throws(Errno) {
    let number = socket.number
    try value.withCString { text throws(Errno) in
        try checked(setsockopt(number, level, name, text, socklen_t(value.count + 1)))
    }
}

/// getsockopt(2) of a whole number.
func option(_ socket: borrowing Descriptor, _ level: Int32, _ name: Int32) throws(Errno) -> Int32 {
    var value: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    try checked(getsockopt(socket.number, level, name, &value, &size))
    return value
}

/// bind(2).
func bind(_ socket: borrowing Descriptor, to address: SocketAddress) throws(Errno) {
    let number = socket.number
    try address.withSockaddr { raw, count throws(Errno) in try checked(CLinux.bind(number, raw, count)) }
}

/// listen(2).
func listen(_ socket: borrowing Descriptor, backlog: Int32) throws(Errno) {
    try checked(CLinux.listen(socket.number, backlog))
}

/// connect(2).
func connect(_ socket: borrowing Descriptor, to address: SocketAddress) throws(Errno) {
    let number = socket.number
    try address.withSockaddr { raw, count throws(Errno) in try checked(CLinux.connect(number, raw, count)) }
}

/// getsockname(2); nil for a family that `SocketAddress` does not have.
func localAddress(of socket: borrowing Descriptor) throws(Errno) -> SocketAddress? {
    try address(of: socket, getsockname)
}

/// getpeername(2); nil for a family that `SocketAddress` does not have. ENOTCONN if it is not connected (yet).
func remoteAddress(of socket: borrowing Descriptor) throws(Errno) -> SocketAddress? {
    try address(of: socket, getpeername)
}

@inline(never)
private func address(
    of socket: borrowing Descriptor,
    _ call: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
) throws(Errno) -> SocketAddress? {
    var storage = sockaddr_storage()
    var count = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let number = socket.number
    return try withUnsafeMutableBytes(of: &storage) { raw throws(Errno) in
        let start = raw.baseAddress!
        try checked(call(number, start.assumingMemoryBound(to: sockaddr.self), &count))
        return SocketAddress(storage: start, count: Int(count))
    }
}

/// recv(2) without waiting: no bytes at the end of the connection, EAGAIN if nothing has arrived.
func receive(_ socket: borrowing Descriptor, atMost limit: Int, flags: Int32 = 0) throws(Errno) -> ByteString {
    let number = socket.number
    let flags = flags | Int32(MSG_DONTWAIT)
    var buffer = [UInt8](repeating: 0, count: limit)
    let count = try uninterrupted { CLinux.recv(number, &buffer, limit, flags) }
    return ByteString(buffer.prefix(count))
}
