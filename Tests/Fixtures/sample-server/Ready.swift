import CLinux
import ReusePortKit

/// Announces that this process serves: sends READY=1 to NOTIFY_SOCKET, and writes a newline to SAMPLE_READY_FD.
func announceReadiness(_ settings: Settings) {
    if settings.notifies, let path = environment("NOTIFY_SOCKET") { notify("READY=1\n", at: path) }
    if let descriptor = settings.readyDescriptor {
        put("\n", on: descriptor)
        _ = close(descriptor)
    }
}

/// Sends a datagram to a Unix socket; `@name` is an abstract one.
private func notify(_ message: ByteString, at path: ByteString) {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let room = MemoryLayout.size(ofValue: address.sun_path)
    guard path.count < room else { return }
    withUnsafeMutableBytes(of: &address.sun_path) { target in
        target.copyBytes(from: path.bytes)
        if path.bytes[0] == UInt8(ascii: "@") { target[0] = 0 }
    }
    let size = socklen_t(MemoryLayout<sa_family_t>.size + path.count)
    let socket = CLinux.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard socket >= 0 else { return }
    defer { _ = close(socket) }
    let sent = withUnsafePointer(to: &address) { address in
        address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
            message.bytes.withUnsafeBytes {
                sendto(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL), address, size)
            }
        }
    }
    if sent < 0 { say("unable to notify \(path.printable): \(Errno(rawValue: clinux_errno()).description)") }
}
