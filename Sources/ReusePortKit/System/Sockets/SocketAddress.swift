import CLinux

/// The address of a socket, a `sockaddr` in C.
public enum SocketAddress: Hashable, Sendable {
    /// Four bytes in network order, and the port.
    case ipv4(UInt32, port: UInt16)
    /// Sixteen bytes as two big-endian halves, the port, and the interface's index for link-local addresses (else 0).
    case ipv6(high: UInt64, low: UInt64, port: UInt16, scope: UInt32)
    /// A path; empty for a socket without a name.
    case unix(ByteString)

    /// The length of the longest path that fits into `sockaddr_un` with its final zero byte.
    public static let longestPath = 107

    /// AF_INET, AF_INET6 or AF_UNIX.
    public var family: Int32 {
        switch self {
        case .ipv4: AF_INET
        case .ipv6: AF_INET6
        case .unix: AF_UNIX
        }
    }

    /// The port; nil for Unix sockets.
    @inline(never)
    public var port: UInt16? {
        switch self {
        case .ipv4(_, let port): port
        case .ipv6(_, _, let port, _): port
        case .unix: nil
        }
    }

    /// The path; nil for Internet sockets.
    public var path: ByteString? {
        if case .unix(let path) = self { path } else { nil }
    }

    /// Returns the address with another port; a Unix socket's address does not change.
    public func with(port: UInt16) -> SocketAddress {
        switch self {
        case .ipv4(let address, _): .ipv4(address, port: port)
        case .ipv6(let high, let low, _, let scope): .ipv6(high: high, low: low, port: port, scope: scope)
        case .unix: self
        }
    }

    /// The address without port and brackets: `127.0.0.1`, `::1`, `fe80::1%2`; a Unix socket's path.
    @inline(never)
    public var host: ByteString {
        switch self {
        case .ipv4(let address, _):
            return "\(address >> 24).\(address >> 16 & 255).\(address >> 8 & 255).\(address & 255)"
        case .ipv6(let high, let low, _, let scope):
            var text = ipv6Text(high: high, low: low)
            if scope != 0 { text.append("%\(scope)") }
            return text
        case .unix(let path):
            return path
        }
    }

    /// The address in text: `127.0.0.1:80`, `[::1]:80`, `/run/web.sock`.
    @inline(never)
    public var description: ByteString {
        switch self {
        case .ipv4(_, let port): "\(host):\(port)"
        case .ipv6(_, _, let port, _): "[\(host)]:\(port)"
        case .unix(let path): path
        }
    }
}

/// inet_ntop(3): writes the shortest form of an IPv6 address.
private func ipv6Text(high: UInt64, low: UInt64) -> ByteString {
    var raw = (high.bigEndian, low.bigEndian)
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { text in
        guard inet_ntop(AF_INET6, &raw, text.baseAddress!, socklen_t(text.count)) != nil else { return "?" }
        return ByteString(cString: text.baseAddress!)
    }
}

extension SocketAddress {
    /// Calls `body` with the address as a `sockaddr`.
    @discardableResult
    func withSockaddr<Result: ~Copyable, Problem: Error>(
        _ body: (UnsafePointer<sockaddr>, socklen_t) throws(Problem) -> Result
    ) throws(Problem) -> Result {
        switch self {
        case .ipv4(let address, let port):
            var raw = sockaddr_in()
            raw.sin_family = sa_family_t(AF_INET)
            raw.sin_port = port.bigEndian
            raw.sin_addr.s_addr = address.bigEndian
            return try pointing(&raw, count: MemoryLayout<sockaddr_in>.size, body)
        case .ipv6(let high, let low, let port, let scope):
            var raw = sockaddr_in6()
            raw.sin6_family = sa_family_t(AF_INET6)
            raw.sin6_port = port.bigEndian
            raw.sin6_scope_id = scope
            withUnsafeMutableBytes(of: &raw.sin6_addr) { bytes in
                bytes.storeBytes(of: high.bigEndian, toByteOffset: 0, as: UInt64.self)
                bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            return try pointing(&raw, count: MemoryLayout<sockaddr_in6>.size, body)
        case .unix(let path):
            var raw = sockaddr_un()
            raw.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &raw.sun_path) { bytes in
                for (index, byte) in path.bytes.prefix(bytes.count - 1).enumerated() { bytes[index] = byte }
            }
            let count = MemoryLayout<sa_family_t>.size + min(path.count, Self.longestPath) + 1
            return try pointing(&raw, count: count, body)
        }
    }

    /// Reads an address that a socket call has written; nil for other families.
    init?(storage: UnsafeRawPointer, count: Int) {
        guard count >= MemoryLayout<sa_family_t>.size else { return nil }
        switch Int32(storage.loadUnaligned(as: sa_family_t.self)) {
        case AF_INET where count >= MemoryLayout<sockaddr_in>.size:
            let raw = storage.loadUnaligned(as: sockaddr_in.self)
            self = .ipv4(UInt32(bigEndian: raw.sin_addr.s_addr), port: UInt16(bigEndian: raw.sin_port))
        case AF_INET6 where count >= MemoryLayout<sockaddr_in6>.size:
            let raw = storage.loadUnaligned(as: sockaddr_in6.self)
            self = withUnsafeBytes(of: raw.sin6_addr) { bytes in
                .ipv6(
                    high: UInt64(bigEndian: bytes.load(fromByteOffset: 0, as: UInt64.self)),
                    low: UInt64(bigEndian: bytes.load(fromByteOffset: 8, as: UInt64.self)),
                    port: UInt16(bigEndian: raw.sin6_port), scope: raw.sin6_scope_id)
            }
        case AF_UNIX:
            let start = MemoryLayout<sa_family_t>.size
            var path: [UInt8] = []
            for offset in start..<max(start, count) {
                let byte = storage.load(fromByteOffset: offset, as: UInt8.self)
                // A leading zero byte marks an abstract name, which other tools write with an @ as well.
                if byte == 0 && !(offset == start && count > start + 1) { break }
                path.append(byte == 0 ? UInt8(ascii: "@") : byte)
            }
            self = .unix(ByteString(path))
        default:
            return nil
        }
    }
}

/// Calls `body` with a `sockaddr_…` as the `sockaddr` that system calls are declared with.
private func pointing<Raw, Result: ~Copyable, Problem: Error>(
    _ raw: inout Raw, count: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) throws(Problem) -> Result
) throws(Problem) -> Result {
    try withUnsafePointer(to: &raw) { pointer throws(Problem) in
        try body(UnsafeRawPointer(pointer).assumingMemoryBound(to: sockaddr.self), socklen_t(count))
    }
}
