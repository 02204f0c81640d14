import CLinux

/// Sends one message, which is JSON, through the Node channel of a process.
///
/// EPERM: we may not trace it. EBADF, ENOTSOCK, ENOENT: the channel is not where it was. EPIPE: the program has closed
/// its end. EAGAIN: it does not read.
func send(
    _ message: ByteString, through channel: ChannelRecord, of process: borrowing ProcessHandle
) throws(Errno) {
    let holder = SocketHolder(inode: 0, process: process.identity, name: "", descriptor: channel.number)
    try borrowSocket(of: holder, cookie: channel.cookie) { (far) throws(Errno) in
        try send(message, through: far.number)
        return ByteString()
    }
}

/// Sends one message, with a descriptor beside it if there is one.
func send(_ message: ByteString, through number: Int32, with descriptor: Int32? = nil) throws(Errno) {
    var line = message
    line.append(UInt8(ascii: "\n"))
    try checked(line.bytes.withUnsafeBytes { clinux_send_message(number, $0.baseAddress, $0.count, descriptor ?? -1) })
}
