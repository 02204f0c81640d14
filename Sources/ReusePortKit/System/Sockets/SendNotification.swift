import CLinux

/// The address in NOTIFY_SOCKET: a path, or an abstract name after an @. nil without one, or with one of another kind.
func notifySocket() -> ByteString? {
    guard let path = environmentVariable("NOTIFY_SOCKET"), let mark = path.bytes.first,
        mark == UInt8(ascii: "/") || mark == UInt8(ascii: "@")
    else { return nil }
    return path
}

/// Sends a message, as from the process with this pid; returns why that failed. EPERM: only root may do it for others.
func send(_ message: ByteString, to path: ByteString, as pid: Int32) -> Errno? {
    guard let messenger = try? socket(family: AF_UNIX, type: Int32(SOCK_DGRAM.rawValue)) else { return .current }
    let result = path.bytes.withUnsafeBytes { path in
        message.bytes.withUnsafeBytes { message in
            clinux_send_to_unix(
                messenger.number, path.baseAddress!.assumingMemoryBound(to: CChar.self), path.count,
                message.baseAddress, message.count, pid)
        }
    }
    return result == -1 ? .current : nil
}
