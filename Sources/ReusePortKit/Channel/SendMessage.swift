import CLinux

/// A copy's Node channel as the registry knows it. A class, for records of copies are copied in a hundred places.
final class ChannelRecord: Sendable, Equatable {
    /// Where the target has the end that is not its own.
    let number: Int32
    /// That socket, whatever the target may have put at the number since.
    let cookie: UInt64
    /// What is sent to stop it, one after the other: JSON, a line each.
    let stopMessages: ByteString
    /// Whether the copy was started to wait for the message to go on, as nodesockd has it, and has not got that.
    let waits: Bool

    init(number: Int32, cookie: UInt64, stopMessages: ByteString = "", waits: Bool = false) {
        self.number = number
        self.cookie = cookie
        self.stopMessages = stopMessages
        self.waits = waits
    }

    static func == (one: ChannelRecord, other: ChannelRecord) -> Bool {
        // A cookie is never used again, and all but this stays.
        one.cookie == other.cookie && one.waits == other.waits
    }
}

/// Sends one message, which is JSON, through the channel of a process.
///
/// EPERM: we may not trace it. EBADF, ENOTSOCK, ENOENT: the channel is not where it was. EPIPE: the program has closed
/// its end. EAGAIN: it does not read.
func send(
    _ message: ByteString, through channel: ChannelRecord, of process: borrowing ProcessHandle
) throws(Errno) {
    let far = try process.borrowDescriptor(channel.number)
    guard try socketCookie(of: far) == channel.cookie else { throw .noEntry }
    try send(message, through: far.number)
}

/// With a descriptor beside it, if there is one.
func send(_ message: ByteString, through number: Int32, with descriptor: Int32 = -1) throws(Errno) {
    var line = message
    line.append(UInt8(ascii: "\n"))
    try checked(line.bytes.withUnsafeBytes { clinux_send_message(number, $0.baseAddress, $0.count, descriptor) })
}

/// One by one.
func messages(_ lines: ByteString) -> [ByteString] { lines.isEmpty ? [] : lines.split(on: UInt8(ascii: "\n")) }
