import CLinux

/// Makes the kernel refuse messages to this socket that pass descriptors (SO_PASSRIGHTS, Linux 6.16).
///
/// Whoever receives a descriptor, even without wanting it, closes it, and what somebody else has opened can make close(2)
/// wait for as long as they like.
func refuseDescriptors(_ socket: borrowing Descriptor) {
    // `receiveMessage` and `drain` ask whether it was of use.
    _ = reason { () throws(Errno) in try setOption(socket, SOL_SOCKET, CLINUX_SO_PASSRIGHTS, 0) }
}

/// Whether a message may bring descriptors.
private func takesDescriptors(_ socket: Int32) -> Bool {
    var value: Int32 = 1
    var size = socklen_t(MemoryLayout<Int32>.size)
    return getsockopt(socket, SOL_SOCKET, CLINUX_SO_PASSRIGHTS, &value, &size) != 0 || value != 0
}

/// A message of somebody else's.
struct ReceivedMessage {
    var text: ByteString
    /// Whether it was longer than the buffer, so that `text` is only its beginning.
    var isCut: Bool
    /// All 0 if it is not known.
    var sender: clinux_ucred
}

/// Receives one message without waiting, in an expendable process if it may bring descriptors. EAGAIN: there is none.
/// ETIMEDOUT: it brought one that is not closed in a second; the message is lost.
func receiveMessage(_ socket: Int32, atMost limit: Int) throws(Errno) -> ReceivedMessage {
    guard takesDescriptors(socket) else { return try receiveHere(socket, limit) }
    let answer = try inExpendableProcess(until: Deadline(after: .seconds(1))) { () throws(Errno) in
        var message = try receiveHere(socket, limit)
        withUnsafeBytes(of: message.sender) { message.text.bytes.append(contentsOf: $0) }
        message.text.bytes.append(message.isCut ? 1 : 0)
        return message.text
    }
    let end = answer.count - 1 - MemoryLayout<clinux_ucred>.size
    let sender = answer.bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: end, as: clinux_ucred.self) }
    return ReceivedMessage(text: answer.prefix(end), isCut: answer.bytes.last == 1, sender: sender)
}

private func receiveHere(_ socket: Int32, _ limit: Int) throws(Errno) -> ReceivedMessage {
    var buffer = [UInt8](repeating: 0, count: limit)
    var sender = clinux_ucred()
    let count = try uninterrupted { clinux_receive_message(socket, &buffer, limit, &sender) }
    return ReceivedMessage(text: ByteString(buffer.prefix(count)), isCut: count > limit, sender: sender)
}

/// Makes the kernel drop all messages to this socket, so that no sender waits or fails, and its close does not either:
/// attaches a filter that accepts nothing (socket(7), needs no privilege), and throws away what has come before.
@inline(never)
func swallowMessages(to socket: borrowing Descriptor) throws(Errno) {
    // BPF_RET | BPF_K with 0.
    var nothing = sock_filter(code: 6, jt: 0, jf: 0, k: 0)
    let number = socket.number
    let code = withUnsafeMutablePointer(to: &nothing) { filter in
        var program = sock_fprog(len: 1, filter: filter)
        return setsockopt(
            number, SOL_SOCKET, SO_ATTACH_FILTER, &program, socklen_t(MemoryLayout<sock_fprog>.size))
    }
    try checked(code)
    func drain() {
        // The loop has a bound, because a closed channel returns 0 bytes again and again.
        var byte: UInt8 = 0
        for _ in 0..<1 << 16 where recv(number, &byte, 1, Int32(MSG_DONTWAIT)) == -1 { return }
    }
    guard takesDescriptors(number) else { return drain() }
    _ = reason { () throws(Errno) in
        _ = try inExpendableProcess(until: Deadline(after: .seconds(1))) { () throws(Errno) in
            drain()
            return ByteString()
        }
    }
}
