import CLinux
import Testing

@testable import ReusePortKit

// MARK: - Privilege

/// What the kernel asks for to steer by two banks, and what to say when a test is skipped for it.
enum SteerPrivilege {
    static let reason: Comment = "needs CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN"

    static let isHeld: Bool = {
        let effective = SteerThread.capabilities()
        return ([39, 12, 21] as [UInt64]).allSatisfy { effective >> $0 & 1 == 1 }
    }()
}

/// A thread of its own, whose capabilities, network or descriptors can differ from those of the other tests.
///
/// Expectations belong to the test's own thread: a failure elsewhere is nobody's. So these give back what they found.
enum SteerThread {
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    private final class Box<Result>: @unchecked Sendable {
        var result: Swift.Result<Result, any Error>?
    }

    static func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) throws -> Result {
        let box = Box<Result>()
        let start = Body { box.result = Swift.Result(catching: body) }
        var thread = pthread_t()
        let created = pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(start).toOpaque())
        guard created == 0 else { throw Errno(rawValue: created) }
        pthread_join(thread, nil)
        return try box.result!.get()
    }

    /// Without any capability.
    static func unprivileged<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) throws -> Result {
        try run {
            var data = [UInt32](repeating: 0, count: 6)
            try checked(capabilityCall(SYS_capset, &data))
            return try body()
        }
    }

    /// In the network of a process, where every address of fd00::/16 is ours from now on.
    static func inNetwork<Result: Sendable>(
        of process: Int32, _ body: @escaping @Sendable () throws -> Result
    ) throws -> Result {
        try run {
            let network = try open("/proc/\(process)/ns/net", O_RDONLY)
            try checked(clinux_syscall(Int(SYS_setns), Int(network.number), 0x4000_0000, 0, 0, 0, 0))
            try takeLocalAddresses()
            return try body()
        }
    }

    /// `ip -6 route add local fd00::/16 dev lo`: any of them can be bound to with IPV6_FREEBIND, and is answered.
    static func takeLocalAddresses() throws {
        let control = Descriptor(owning: try checked(socket(AF_INET6, Int32(SOCK_DGRAM.rawValue), 0)))
        // struct in6_rtmsg: destination, source, gateway; type RTN_LOCAL, prefix length, metric; flags, interface.
        var route = [UInt8](repeating: 0, count: 80)
        route[0] = 0xFD
        route[48] = 2
        route[52] = 16
        route[56] = 1
        route[72] = 1  // RTF_UP
        route[75] = 0x80  // RTF_LOCAL
        route[76] = 1
        do {
            try ioctl(control, 0x890B, &route)  // SIOCADDRT
        } catch let error as Errno {
            guard error == .exists else { throw error }
        }
    }

    /// In a network of its own, with the loopback interface up and these addresses on it beside 127.0.0.1 and ::1.
    static func inOwnNetwork<Result: Sendable>(
        addresses: [TestHost] = [], _ body: @escaping @Sendable () throws -> Result
    ) throws -> Result {
        try run {
            let newNetwork = 0x4000_0000  // CLONE_NEWNET
            try checked(clinux_syscall(Int(SYS_unshare), newNetwork, 0, 0, 0, 0, 0))
            let control = Descriptor(owning: try checked(socket(AF_INET6, Int32(SOCK_DGRAM.rawValue), 0)))

            // struct ifreq: 16 bytes of name, then the flags; IFF_UP | IFF_RUNNING.
            var flags = [UInt8](repeating: 0, count: 40)
            flags.replaceSubrange(0..<2, with: Array("lo".utf8))
            flags[16] = 0x41
            try ioctl(control, 0x8914, &flags)  // SIOCSIFFLAGS

            for host in addresses {
                // struct in6_ifreq: address, length of the prefix, index of the interface.
                var request = host.bytes + [128, 0, 0, 0, 1, 0, 0, 0]
                try ioctl(control, 0x8916, &request)  // SIOCSIFADDR
            }
            // The kernel makes them usable in a task of its own.
            for host in addresses + [.v6] {
                let socket = try TestSocket("trial", host)
                try waitUntil("the address \(host)") {
                    do {
                        try socket.bind()
                        return true
                    } catch let error as Errno where error == .addressNotAvailable {
                        return false
                    }
                }
            }
            return try body()
        }
    }

    static func capabilities() -> UInt64 {
        var data = [UInt32](repeating: 0, count: 6)
        return capabilityCall(SYS_capget, &data) == 0 ? UInt64(data[0]) | UInt64(data[3]) << 32 : 0
    }

    private static func ioctl(_ socket: borrowing Descriptor, _ request: Int, _ data: inout [UInt8]) throws {
        let number = socket.number
        let result = data.withUnsafeMutableBytes {
            clinux_syscall(Int(SYS_ioctl), Int(number), request, Int(bitPattern: $0.baseAddress), 0, 0, 0)
        }
        try checked(result)
    }

    /// Two sets of 32 bits each: effective, permitted, inheritable.
    private static func capabilityCall(_ number: Int32, _ data: inout [UInt32]) -> Int {
        var header: [UInt32] = [0x2008_0522, 0]
        return header.withUnsafeMutableBytes { header in
            data.withUnsafeMutableBytes { data in
                clinux_syscall(
                    Int(number), Int(bitPattern: header.baseAddress), Int(bitPattern: data.baseAddress), 0, 0, 0, 0)
            }
        }
    }
}

// MARK: - Sockets

/// An address without port.
enum TestHost: Equatable, Sendable {
    /// 127.0.x.y
    case v4(UInt16)
    /// ::1
    case v6
    /// fd00:0:0:x::y, to be added to a network of the test's own
    case local6(UInt16, UInt16)
    /// ::ffff:127.0.x.y, which leads to IPv4
    case mapped(UInt16)
    /// ::2, likewise
    case nearLoopback6
    /// Every address of both families, to listen on.
    case dualStack

    static let loopback = TestHost.v4(1)

    var isIPv4: Bool {
        if case .v4 = self { return true }
        return false
    }

    /// Where a client with this address finds a listener of this host.
    var loopback: TestHost {
        switch self {
        case .v4: .loopback
        case .mapped: .mapped(1)
        default: .v6
        }
    }

    var bytes: [UInt8] {
        var sixteen = [UInt8](repeating: 0, count: 16)
        switch self {
        case .v4(let low): return [127, 0, UInt8(low >> 8), UInt8(low & 0xFF)]
        case .v6: sixteen[15] = 1
        case .local6(let high, let low):
            sixteen[0] = 0xFD
            sixteen.replaceSubrange(6..<8, with: [UInt8(high >> 8), UInt8(high & 0xFF)])
            sixteen.replaceSubrange(14..<16, with: [UInt8(low >> 8), UInt8(low & 0xFF)])
        case .mapped(let low):
            sixteen.replaceSubrange(10..., with: [0xFF, 0xFF, 127, 0, UInt8(low >> 8), UInt8(low & 0xFF)])
        case .nearLoopback6: sixteen[15] = 2
        case .dualStack: break
        }
        return sixteen
    }

    /// struct sockaddr_in or sockaddr_in6.
    func socketAddress(port: UInt16) -> [UInt8] {
        let family = UInt8(isIPv4 ? AF_INET : AF_INET6)
        let start = [family, 0, UInt8(port >> 8), UInt8(port & 0xFF)]
        return isIPv4 ? start + bytes + [UInt8](repeating: 0, count: 8) : start + [0, 0, 0, 0] + bytes + [0, 0, 0, 0]
    }
}

/// A socket of a test; closed on request or with its owner.
final class TestSocket {
    let name: String
    let host: TestHost
    private var owned = OwnedArray<Descriptor>()

    /// Not bound yet.
    init(_ name: String, _ host: TestHost, kind: __socket_type = SOCK_STREAM) throws {
        self.name = name
        self.host = host
        let flags = Int32(kind.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        owned.append(Descriptor(owning: try checked(socket(host.isIPv4 ? AF_INET : AF_INET6, flags, 0))))
        var deadline = timeval(tv_sec: 20, tv_usec: 0)
        for direction in [SO_SNDTIMEO, SO_RCVTIMEO] {
            try checked(
                setsockopt(number, SOL_SOCKET, direction, &deadline, socklen_t(MemoryLayout<timeval>.size)))
        }
    }

    var descriptor: Descriptor {
        _read { yield owned[0] }
    }

    var number: Int32 { owned[0].number }

    /// Closes it, and waits until it is: what other tests fork meanwhile has our descriptors until its exec, and only
    /// then the kernel closes a socket of which nobody here knows any more.
    func close() throws {
        let (port, cookie) = (try port, try cookie)
        _ = owned.popLast()
        try waitUntil("the socket \(name) to be closed") {
            try
                !(internetSockets(.tcp, states: .listening, localPort: port)
                + internetSockets(.udp, states: .datagram, localPort: port)).contains { $0.cookie == cookie }
        }
    }

    func set(_ level: Int32, _ option: Int32, to value: Int32) throws {
        var value = value
        try checked(setsockopt(number, level, option, &value, socklen_t(MemoryLayout<Int32>.size)))
    }

    func bind(port: UInt16 = 0) throws {
        let address = host.socketAddress(port: port)
        try withAddress(address) { try checked(CLinux.bind(number, $0, $1)) }
    }

    func connect(to host: TestHost, port: UInt16) throws {
        let address = host.socketAddress(port: port)
        try withAddress(address) { try checked(CLinux.connect(number, $0, $1)) }
    }

    func listen() throws { try checked(CLinux.listen(number, 512)) }

    var port: UInt16 {
        get throws {
            var address = [UInt8](repeating: 0, count: 28)
            var length = socklen_t(28)
            _ = try address.withUnsafeMutableBytes {
                try checked(getsockname(number, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length))
            }
            return UInt16(address[2]) << 8 | UInt16(address[3])
        }
    }

    var cookie: UInt64 {
        get throws {
            var cookie: UInt64 = 0
            var length = socklen_t(8)
            try checked(getsockopt(number, SOL_SOCKET, CLINUX_SO_COOKIE, &cookie, &length))
            return cookie
        }
    }

    private func withAddress(
        _ address: [UInt8], _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Void
    ) throws {
        try address.withUnsafeBytes {
            try body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(address.count))
        }
    }
}

/// A member of a reuseport group: listening if it is TCP, bound if it is UDP; port 0 founds a group.
func member(
    _ name: String, _ host: TestHost = .loopback, port: UInt16 = 0, kind: __socket_type = SOCK_STREAM,
    deferAccept: Bool = false, listening: Bool = true
) throws -> TestSocket {
    let socket = try TestSocket(name, host, kind: kind)
    try socket.set(SOL_SOCKET, SO_REUSEPORT, to: 1)
    if !host.isIPv4 { try socket.set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, to: host == .dualStack ? 0 : 1) }
    if deferAccept { try socket.set(Int32(IPPROTO_TCP), TCP_DEFER_ACCEPT, to: 30) }
    try socket.bind(port: port)
    if kind == SOCK_STREAM && listening { try socket.listen() }
    return socket
}

/// `count` members, the first of which founds the group unless there is a port.
func members(
    _ names: String..., on host: TestHost = .loopback, port: UInt16 = 0, kind: __socket_type = SOCK_STREAM,
    deferAccept: Bool = false
) throws -> [TestSocket] {
    var port = port
    var result: [TestSocket] = []
    for name in names {
        result.append(try member(name, host, port: port, kind: kind, deferAccept: deferAccept))
        port = try result[0].port
    }
    return result
}

/// Clients that are connected (TCP), or have sent one datagram (UDP).
@discardableResult
func clients(
    _ count: Int, to port: UInt16, from source: TestHost = .loopback, sourcePort: UInt16 = 0,
    at target: TestHost? = nil, kind: __socket_type = SOCK_STREAM
) throws -> [TestSocket] {
    var result: [TestSocket] = []
    for _ in 0..<count {
        let client = try TestSocket("client", source, kind: kind)
        if case .local6 = source { try client.set(Int32(IPPROTO_IPV6), 78, to: 1) }  // IPV6_FREEBIND
        try client.bind(port: sourcePort)
        try client.connect(to: target ?? source.loopback, port: port)
        if kind == SOCK_DGRAM { try checked(send(client.number, "x", 1, 0)) }
        result.append(client)
    }
    return result
}

struct Overdue: Error {
    let arrived: [String: Int]
}

/// Takes connections or datagrams until there were `count`, and says how many came to which socket; those with none
/// are left out.
func arrivals(_ count: Int, at sockets: [TestSocket]) throws -> [String: Int] {
    var result: [String: Int] = [:]
    var total = 0
    let deadline = ContinuousClock.now + .seconds(20)
    while total < count {
        var waiting = sockets.map { pollfd(fd: $0.number, events: Int16(POLLIN), revents: 0) }
        guard poll(&waiting, nfds_t(waiting.count), 1000) >= 0, .now < deadline else { throw Overdue(arrived: result) }
        for (index, socket) in sockets.enumerated() where waiting[index].revents & Int16(POLLIN) != 0 {
            try take(from: socket)
            result[socket.name, default: 0] += 1
            total += 1
        }
    }
    return result
}

private func take(from socket: TestSocket) throws {
    var byte: UInt8 = 0
    if recv(socket.number, &byte, 1, Int32(MSG_DONTWAIT)) == 1 { return }
    _ = Descriptor(owning: try checked(accept4(socket.number, nil, nil, Int32(SOCK_CLOEXEC.rawValue))))
}

// MARK: - Steering

/// The maps of one socket of an app, with the program attached.
struct Steered: ~Copyable {
    let slots: SlotsMap
    let port: UInt16

    init(_ founder: TestSocket, by selector: borrowing SelectorMap, _ balance: Balance = .random) throws {
        let slots = try SlotsMap.create()
        let port = try founder.port
        try TwoBankProgram(balance: balance, selector: selector, slots: slots).attach(to: founder.descriptor)
        self.slots = slots
        self.port = port
    }

    func place(_ sockets: [TestSocket], in bank: Bank) throws {
        for (index, socket) in sockets.enumerated() {
            try slots.place(socket.descriptor, in: Slot(bank, copy: UInt8(index)))
        }
    }
}

extension Selector {
    /// The word after a cutover to the next bank, without canary and probe.
    var cutOver: Selector { Selector(liveBank: liveBank.other, liveCount: nextCount, nextCount: liveCount) }
}
