import CLinux
import Foundation
import Testing

@testable import ReusePortKit

let isRoot = geteuid() == 0
let nobody: UInt32 = 65534

let ipv4Loopback = SocketAddress.ipv4(0x7F00_0001, port: 0)
let ipv6Loopback = SocketAddress.ipv6(high: 0, low: 1, port: 0, scope: 0)
let ipv4Wildcard = SocketAddress.ipv4(0, port: 0)
let ipv6Wildcard = SocketAddress.ipv6(high: 0, low: 0, port: 0, scope: 0)

/// A socket for a test, with the options that matter here.
struct InspectedSocket: ~Copyable {
    let descriptor: Descriptor
    let address: SocketAddress

    var number: Int32 { descriptor.number }
    var port: UInt16 { address.port ?? 0 }
    var inode: UInt64 { (try? socketInode(of: descriptor)) ?? 0 }
    var cookie: UInt64 { (try? socketCookie(of: descriptor)) ?? 0 }

    init(
        _ kind: InternetProtocol = .tcp, _ address: SocketAddress = ipv4Loopback, shares: Bool = false,
        reusesAddress: Bool = false, isIPv6Only: Bool = false, backlog: Int32? = nil
    ) throws(Errno) {
        let type = kind == .tcp ? SOCK_STREAM : SOCK_DGRAM
        let descriptor = Descriptor(
            owning: try checked(CLinux.socket(address.family, Int32(type.rawValue | SOCK_CLOEXEC.rawValue), 0)))
        try Self.turnOn(descriptor, SOL_SOCKET, SO_REUSEPORT, shares)
        try Self.turnOn(descriptor, SOL_SOCKET, SO_REUSEADDR, reusesAddress)
        if address.family == AF_INET6 {
            try Self.turnOn(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, isIPv6Only)
        }
        let number = descriptor.number
        _ = try address.withSockaddr { raw, count throws(Errno) in try checked(CLinux.bind(number, raw, count)) }
        if let backlog { try checked(CLinux.listen(number, backlog)) }
        self.address = try Self.name(of: descriptor)
        self.descriptor = descriptor
    }

    /// A client, connected when this returns.
    init(connectedTo address: SocketAddress) throws(Errno) {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = Descriptor(owning: try checked(CLinux.socket(address.family, type, 0)))
        let number = descriptor.number
        _ = try address.withSockaddr { raw, count throws(Errno) in try checked(CLinux.connect(number, raw, count)) }
        self.address = try Self.name(of: descriptor)
        self.descriptor = descriptor
    }

    private init(owning descriptor: consuming Descriptor) throws(Errno) {
        self.address = try Self.name(of: descriptor)
        self.descriptor = descriptor
    }

    borrowing func accepted() throws(Errno) -> InspectedSocket {
        let accepted = try checked(accept4(number, nil, nil, Int32(SOCK_CLOEXEC.rawValue)))
        return try InspectedSocket(owning: Descriptor(owning: accepted))
    }

    borrowing func listenNow(_ backlog: Int32 = 8) throws(Errno) { try checked(CLinux.listen(number, backlog)) }

    private static func turnOn(
        _ socket: borrowing Descriptor, _ level: Int32, _ option: Int32, _ isOn: Bool
    ) throws(Errno) {
        var value: Int32 = isOn ? 1 : 0
        try checked(setsockopt(socket.number, level, option, &value, socklen_t(MemoryLayout<Int32>.size)))
    }

    private static func name(of socket: borrowing Descriptor) throws(Errno) -> SocketAddress {
        var storage = sockaddr_storage()
        var count = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let number = socket.number
        let address = withUnsafeMutableBytes(of: &storage) { raw -> SocketAddress? in
            let start = raw.baseAddress!
            guard getsockname(number, start.assumingMemoryBound(to: sockaddr.self), &count) == 0 else { return nil }
            return SocketAddress(storage: start, count: Int(count))
        }
        guard let address else { throw .current }
        return address
    }
}

/// Runs `body` as the user nobody, on a thread of its own: to the kernel, credentials belong to the thread; it is the
/// C library that keeps those of all threads the same.
func asNobody<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) throws -> Result {
    let box = Box<Swift.Result<Result, any Error>>()
    let thread = Thread {
        let id = Int(nobody)
        let groups = clinux_syscall(Int(SYS_setgroups), 0, 0, 0, 0, 0, 0)
        let group = clinux_syscall(Int(SYS_setresgid), id, id, id, 0, 0, 0)
        let user = clinux_syscall(Int(SYS_setresuid), id, id, id, 0, 0, 0)
        if groups == 0, group == 0, user == 0 {
            box.put(Swift.Result { try body() })
        } else {
            box.put(.failure(Errno.current))
        }
    }
    thread.start()
    return try box.take().get()
}

private final class Box<Value>: @unchecked Sendable {
    private let full = DispatchSemaphore(value: 0)
    private var value: Value?

    func put(_ value: Value) {
        self.value = value
        full.signal()
    }

    func take() -> Value {
        full.wait()
        return value!
    }
}
