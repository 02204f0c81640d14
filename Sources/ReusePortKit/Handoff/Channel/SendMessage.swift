import CLinux

/// Sends one message, which is JSON, through the Node channel of a process.
///
/// EPERM: we may not trace it. EBADF, ENOTSOCK, ENOENT: the channel is not where it was. EPIPE: the program has closed
/// its end. EAGAIN: it does not read.
func send(
    _ message: ByteString, through channel: ChannelRecord, of process: borrowing ProcessHandle
) throws(Errno) {
    // Only sockets are borrowed: close(2) of a borrowed FUSE file waits for as long as the file's owner likes.
    if let directory = try? open("/proc/\(process.identity.pid)/fd", CLINUX_O_PATH),
        let kind = try? readLink(ByteString(decimal: channel.number), in: directory), !kind.hasPrefix("socket:")
    {
        throw .noEntry
    }
    let far = try process.borrowDescriptor(channel.number)
    guard try socketCookie(of: far) == channel.cookie else { throw .noEntry }
    try send(message, through: far.number)
}

/// Sends one message, with a descriptor beside it if there is one.
func send(_ message: ByteString, through number: Int32, with descriptor: Int32? = nil) throws(Errno) {
    var line = message
    line.append(UInt8(ascii: "\n"))
    try checked(line.bytes.withUnsafeBytes { clinux_send_message(number, $0.baseAddress, $0.count, descriptor ?? -1) })
}
