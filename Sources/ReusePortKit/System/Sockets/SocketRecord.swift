import CLinux

/// What kind of Internet socket.
enum InternetProtocol: UInt8, Sendable {
    case tcp = 6
    case udp = 17
}

/// A socket's state, as the kernel numbers them (enum in net/tcp_states.h).
struct SocketState: RawRepresentable, Hashable, Sendable {
    let rawValue: UInt8
    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Also an UDP socket that is connected.
    static let established = SocketState(rawValue: 1)
    static let synSent = SocketState(rawValue: 2)
    static let synReceived = SocketState(rawValue: 3)
    static let finWait1 = SocketState(rawValue: 4)
    static let finWait2 = SocketState(rawValue: 5)
    static let timeWait = SocketState(rawValue: 6)
    /// A TCP socket that is bound and neither listening nor connected; a UDP socket that is not connected.
    static let bound = SocketState(rawValue: 7)
    static let closeWait = SocketState(rawValue: 8)
    static let lastAck = SocketState(rawValue: 9)
    static let listening = SocketState(rawValue: 10)
    static let closing = SocketState(rawValue: 11)

    /// As ss(8) and netstat(8) write it.
    var description: ByteString {
        switch self {
        case .established: "ESTABLISHED"
        case .synSent: "SYN-SENT"
        case .synReceived: "SYN-RECEIVED"
        case .finWait1: "FIN-WAIT-1"
        case .finWait2: "FIN-WAIT-2"
        case .timeWait: "TIME-WAIT"
        case .bound: "BOUND"
        case .closeWait: "CLOSE-WAIT"
        case .lastAck: "LAST-ACK"
        case .listening: "LISTEN"
        case .closing: "CLOSING"
        default: "state \(rawValue)"
        }
    }
}

/// Several states.
struct SocketStates: OptionSet, Sendable {
    let rawValue: UInt32
    init(rawValue: UInt32) { self.rawValue = rawValue }
    init(_ state: SocketState) { rawValue = 1 << UInt32(state.rawValue) }

    static let established = SocketStates(.established)
    static let listening = SocketStates(.listening)
    /// Connections of which something may come: `established`, `synReceived` and `closeWait`. As a number, as are others
    /// here, for a list of states would be an array first.
    static let receiving = SocketStates(rawValue: 1 << 1 | 1 << 3 | 1 << 8)
    /// UDP sockets, connected or not: `established` and `bound`.
    static let datagram = SocketStates(rawValue: 1 << 1 | 1 << 7)
    /// For TCP, the kernel tells of these since Linux 6.8; before, there are none.
    static let bound = SocketStates(.bound)
    /// The connections: all but `listening` and `bound`.
    static let connections = SocketStates(rawValue: 0x1FFE & ~(1 << 10 | 1 << 7))

    /// The mask for the kernel. It files TCP sockets that are just bound under a number of their own,
    /// TCP_BOUND_INACTIVE, and yet reports them as closed.
    func mask(for internetProtocol: InternetProtocol) -> UInt32 {
        let boundInactive: UInt32 = 1 << 13
        guard internetProtocol == .tcp, contains(.bound) else { return rawValue }
        return subtracting(.bound).rawValue | boundInactive
    }
}

/// What the kernel tells of one TCP or UDP socket.
struct SocketRecord: Hashable, Sendable {
    /// AF_INET or AF_INET6, as it was created: a dual-stack socket's IPv4 connections are AF_INET6, with addresses such
    /// as `::ffff:127.0.0.1`.
    let family: Int32
    let address: SocketAddress
    /// Where it is connected to; the wildcard address and port 0 if it is not.
    let remote: SocketAddress
    let state: SocketState
    /// The owner: who created it, unless it was changed with fchown(2). All members of a reuseport group have the same.
    let uid: UInt32
    /// 0 when no descriptor stands for it: connections that are not accepted yet, or that are over (TIME-WAIT).
    let inode: UInt64
    /// Unique until the next boot; the same as SO_COOKIE (`socketCookie(of:)`).
    let cookie: UInt64
    /// Of a listening socket: connections that wait to be accepted. Of others: bytes that wait to be read.
    let acceptQueue: UInt32
    /// Of a listening socket: how many may wait. Of others: bytes sent and not acknowledged.
    let acceptLimit: UInt32
    /// The network interface it is bound to (SO_BINDTODEVICE, or link-local), 0 for none.
    let interface: UInt32
    /// Whether an IPv6 socket leaves IPv4 alone (IPV6_V6ONLY). Nil for IPv4, and for connections.
    let isIPv6Only: Bool?
    /// How many bytes a connection has got so far; nil unless it was asked for, and while it is no connection yet.
    let received: UInt64?
}

extension SocketRecord {
    /// Reads an `inet_diag_msg` and the attributes behind it.
    init?(message: UnsafeRawBufferPointer) {
        let size = MemoryLayout<inet_diag_msg>.size
        guard message.count >= size else { return nil }
        let raw = message.loadUnaligned(as: inet_diag_msg.self)
        family = Int32(raw.idiag_family)
        interface = raw.id.idiag_if
        address = SocketAddress(
            family: family, words: raw.id.idiag_src, port: raw.id.idiag_sport, interface: raw.id.idiag_if)
        remote = SocketAddress(
            family: family, words: raw.id.idiag_dst, port: raw.id.idiag_dport, interface: raw.id.idiag_if)
        state = SocketState(rawValue: raw.idiag_state)
        uid = raw.idiag_uid
        inode = UInt64(raw.idiag_inode)
        cookie = cookieNumber(raw.id.idiag_cookie)
        acceptQueue = raw.idiag_rqueue
        acceptLimit = raw.idiag_wqueue
        var isIPv6Only: Bool?
        var received: UInt64?
        // tcpi_bytes_received of Linux 4.1, in <linux/tcp.h>: the C library's header ends before it.
        let place = 128
        forEachAttribute(in: message, from: size) { type, content in
            if type == Int32(INET_DIAG_SKV6ONLY), let value = content.first { isIPv6Only = value != 0 }
            if type == Int32(INET_DIAG_INFO), content.count >= place + 8 {
                received = content.loadUnaligned(fromByteOffset: place, as: UInt64.self)
            }
        }
        self.isIPv6Only = isIPv6Only
        self.received = received
    }
}

/// Cookies come as two halves, the low one first.
func cookieNumber(_ halves: (UInt32, UInt32)) -> UInt64 { UInt64(halves.1) << 32 | UInt64(halves.0) }

extension SocketAddress {
    /// From the words of an `inet_diag_sockid`, which are in network order.
    fileprivate init(family: Int32, words: (UInt32, UInt32, UInt32, UInt32), port: UInt16, interface: UInt32) {
        let port = UInt16(bigEndian: port)
        let first = UInt32(bigEndian: words.0)
        guard family == AF_INET6 else {
            self = .ipv4(first, port: port)
            return
        }
        let high = UInt64(first) << 32 | UInt64(UInt32(bigEndian: words.1))
        let low = UInt64(UInt32(bigEndian: words.2)) << 32 | UInt64(UInt32(bigEndian: words.3))
        // As getsockname(2) has it: a scope for fe80::/10 only.
        self = .ipv6(high: high, low: low, port: port, scope: high >> 54 == 0x3FA ? interface : 0)
    }
}
