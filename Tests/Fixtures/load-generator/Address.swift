import CLinux
import ReusePortKit

/// The address that requests go to.
struct Address {
    private(set) var storage = sockaddr_storage()
    private(set) var size: socklen_t = 0
    var family: Int32 { Int32(storage.ss_family) }

    /// No address.
    static let none = Address()

    private init() {}

    /// Parses `127.0.0.1:80`, `[::1]:80`, `unix:/path`.
    init(_ text: ByteString) throws(UsageError) {
        let wrong = UsageError(message: "not an address: \(text); write 127.0.0.1:80, [::1]:80 or unix:/path")
        if text.hasPrefix("unix:") {
            guard setPath(text.dropFirst(5)) else { throw wrong }
            return
        }
        guard let colon = text.lastIndex(of: UInt8(ascii: ":")),
            let port = text.dropFirst(colon + 1).decimal, port > 0, port < 65536
        else { throw wrong }
        var host = text.prefix(colon)
        let isV6 = host.hasPrefix("[") && host.hasSuffix("]")
        if isV6 { host = host[1..<host.count - 1] }
        if host == "localhost" { host = "127.0.0.1" }
        guard isV6 ? setV6(host, UInt16(port)) : setV4(host, UInt16(port)) else { throw wrong }
    }

    func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        withUnsafePointer(to: storage) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, size) }
        }
    }

    private mutating func setV4(_ host: ByteString, _ port: UInt16) -> Bool {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        guard host.withCString({ inet_pton(AF_INET, $0, &address.sin_addr) }) == 1 else { return false }
        withUnsafeBytes(of: address) { store($0) }
        return true
    }

    private mutating func setV6(_ host: ByteString, _ port: UInt16) -> Bool {
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = port.bigEndian
        guard host.withCString({ inet_pton(AF_INET6, $0, &address.sin6_addr) }) == 1 else { return false }
        withUnsafeBytes(of: address) { store($0) }
        return true
    }

    private mutating func setPath(_ path: ByteString) -> Bool {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard !path.isEmpty, path.count < MemoryLayout.size(ofValue: address.sun_path) else { return false }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.bytes) }
        withUnsafeBytes(of: address) { store($0) }
        return true
    }

    private mutating func store(_ bytes: UnsafeRawBufferPointer) {
        withUnsafeMutableBytes(of: &storage) { $0.copyMemory(from: bytes) }
        size = socklen_t(bytes.count)
    }
}
