import CLinux
import ReusePortKit

/// A socket this process was given to serve.
struct Listener {
    let socket: Int32
    let name: ByteString
    let isDatagram: Bool
    /// `127.0.0.1:80`, `[::1]:80`, `unix:/path`.
    let address: ByteString
}

/// The sockets that LISTEN_FDS, LISTEN_FDNAMES and LISTEN_PID announce; descriptors that are no sockets are left out.
func inheritedListeners() -> [Listener] {
    guard let count = environment("LISTEN_FDS")?.decimal, count < 100_000,
        environment("LISTEN_PID")?.decimal == UInt64(getpid())
    else { return [] }
    let names = environment("LISTEN_FDNAMES")?.split(on: UInt8(ascii: ":")) ?? []
    var listeners: [Listener] = []
    for index in 0..<Int(count) {
        let socket = Int32(3 + index)
        guard let type = option(SO_TYPE, of: socket) else { continue }
        _ = clinux_fcntl(socket, F_SETFD, Int(FD_CLOEXEC))
        _ = clinux_fcntl(socket, F_SETFL, clinux_fcntl(socket, F_GETFL, 0).asLong | Int(O_NONBLOCK))
        listeners.append(
            Listener(
                socket: socket, name: index < names.count ? names[index] : "unknown",
                isDatagram: type == Int32(SOCK_DGRAM.rawValue), address: localAddress(of: socket)))
    }
    return listeners
}

/// getsockopt(2) at SOL_SOCKET; nil if it is no socket.
func option(_ name: Int32, of socket: Int32) -> Int32? {
    var value: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    return getsockopt(socket, SOL_SOCKET, name, &value, &size) == 0 ? value : nil
}

/// getsockname(2) as text.
func localAddress(of socket: Int32) -> ByteString {
    var storage = sockaddr_storage()
    var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = withUnsafeMutablePointer(to: &storage) { storage in
        storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket, $0, &size) }
    }
    guard result == 0 else { return "?" }
    let length = Int(size)
    return withUnsafeBytes(of: storage) { bytes -> ByteString in
        let port = UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        switch Int32(storage.ss_family) {
        case AF_INET: return "\(numericHost(AF_INET, bytes.baseAddress! + 4)):\(port)"
        case AF_INET6: return "[\(numericHost(AF_INET6, bytes.baseAddress! + 8))]:\(port)"
        case AF_UNIX:
            let path = Array(bytes[2..<max(2, length)].prefix { $0 != 0 })
            return "unix:\(ByteString(path))"
        default: return "?"
        }
    }
}

private func numericHost(_ family: Int32, _ address: UnsafeRawPointer) -> ByteString {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { text in
        inet_ntop(family, address, text.baseAddress!, 64) == nil ? "?" : ByteString(cString: text.baseAddress!)
    }
}

extension Int32 {
    /// fcntl(2) takes its flags as long.
    var asLong: Int { Int(self) }
}
