import CLinux

/// The protocol of an Internet socket, as numbered in its headers.
enum InternetProtocol: UInt8, Sendable {
    case tcp = 6
    case udp = 17
}

/// A socket's state, with the kernel's numbers (net/tcp_states.h).
struct SocketState: RawRepresentable, Hashable, Sendable {
    let rawValue: UInt8

    /// A TCP connection, or a UDP socket that is connected.
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

    /// The name that ss(8) and netstat(8) use.
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

/// A set of states.
struct SocketStates: OptionSet, Sendable {
    let rawValue: UInt32
    init(rawValue: UInt32) { self.rawValue = rawValue }
    init(_ state: SocketState) { rawValue = 1 << UInt32(state.rawValue) }

    static let established = SocketStates(.established)
    static let listening = SocketStates(.listening)
    /// Connections that may have unread data: `established`, `synReceived` and `closeWait`. Written as a number,
    /// because a list of states would make an array first.
    static let receiving = SocketStates(rawValue: 1 << 1 | 1 << 3 | 1 << 8)
    /// UDP sockets, connected or not: `established` and `bound`.
    static let datagram = SocketStates(rawValue: 1 << 1 | 1 << 7)
    /// TCP sockets that are only bound. Linux before 6.8 does not list them.
    static let bound = SocketStates(.bound)
    /// All states except `listening` and `bound`.
    static let connections = SocketStates(rawValue: 0x1FFE & ~(1 << 10 | 1 << 7))

    /// The mask for a request. TCP sockets that are only bound are requested as TCP_BOUND_INACTIVE, although the kernel
    /// reports their state as closed.
    func mask(for internetProtocol: InternetProtocol) -> UInt32 {
        let boundInactive: UInt32 = 1 << 13
        guard internetProtocol == .tcp, contains(.bound) else { return rawValue }
        return subtracting(.bound).rawValue | boundInactive
    }
}

/// The kernel's description of a TCP or UDP socket.
struct SocketRecord: Hashable, Sendable {
    /// AF_INET or AF_INET6. The IPv4 connections of a dual-stack socket are AF_INET6, with addresses such as
    /// `::ffff:127.0.0.1`.
    let family: Int32
    let address: SocketAddress
    /// The address that it is connected to; the wildcard address and port 0 if it is not connected.
    let remote: SocketAddress
    let state: SocketState
    /// The owner: the user who created it, or the one set with fchown(2). All members of a reuseport group have one
    /// owner.
    let uid: UInt32
    /// 0 if it has no descriptor: connections that are not accepted yet, or are over (TIME-WAIT).
    let inode: UInt64
    /// Unique until the next boot: SO_COOKIE (`socketCookie(of:)`).
    let cookie: UInt64
    /// The connections that wait to be accepted, if the socket listens; else the bytes that wait to be read.
    let acceptQueue: UInt32
    /// The number of connections that may wait, if the socket listens; else the bytes sent and not acknowledged.
    let acceptLimit: UInt32
    /// The network interface that it is bound to (SO_BINDTODEVICE, or a link-local address), 0 for none.
    let interface: UInt32
    /// IPV6_V6ONLY. Nil for IPv4 sockets, and for connections.
    let isIPv6Only: Bool?
    /// Whether a connection has received nothing yet; false if that was not requested, or before the handshake is done.
    let hasReceivedNothing: Bool
    /// Whether the peer of a connection was the last to send something; false if that was not requested.
    let isUnanswered: Bool
}

extension SocketRecord {
    /// Reads an `inet_diag_msg` and the attributes after it.
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
        var hasReceivedNothing = false
        var isUnanswered = false
        // The offset of tcpi_bytes_received (Linux 4.1), which the C library's struct tcp_info does not have.
        let offset = 128
        forEachAttribute(in: message, from: size) { type, content in
            if type == Int32(INET_DIAG_SKV6ONLY), let value = content.first { isIPv6Only = value != 0 }
            if type == Int32(INET_DIAG_INFO), content.count >= offset + 8 {
                let received = content.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                hasReceivedNothing = received == 0
                // The end of the peer's data counts as a byte. A probe sends nothing else.
                let isEndAlone = received == 1 && raw.idiag_state == 8
                // tcpi_last_data_sent and tcpi_last_data_recv: that many milliseconds ago; and tcpi_data_segs_out (4.6).
                let sent = content.loadUnaligned(fromByteOffset: 44, as: UInt32.self)
                let isLast = content.loadUnaligned(fromByteOffset: 52, as: UInt32.self) < sent
                let hasSentNothing =
                    content.count >= 160 && content.loadUnaligned(fromByteOffset: 156, as: UInt32.self) == 0
                isUnanswered = !hasReceivedNothing && !isEndAlone && (isLast || hasSentNothing)
            }
        }
        self.isIPv6Only = isIPv6Only
        self.hasReceivedNothing = hasReceivedNothing
        self.isUnanswered = isUnanswered
    }
}

extension SocketRecord {
    /// Whether it is a listener that was hidden from new connections (`hide`).
    var isHidden: Bool { interface == noInterface }
}

/// The number of an interface that does not exist: the largest one, because the kernel counts up from 1.
let noInterface = UInt32(Int32.max)

/// Joins the two halves of a cookie, of which the low one comes first.
func cookieNumber(_ halves: (UInt32, UInt32)) -> UInt64 { UInt64(halves.1) << 32 | UInt64(halves.0) }

extension SocketAddress {
    /// Reads the words of an `inet_diag_sockid`, which are in network order.
    fileprivate init(family: Int32, words: (UInt32, UInt32, UInt32, UInt32), port: UInt16, interface: UInt32) {
        let port = UInt16(bigEndian: port)
        let first = UInt32(bigEndian: words.0)
        guard family == AF_INET6 else {
            self = .ipv4(first, port: port)
            return
        }
        let high = UInt64(first) << 32 | UInt64(UInt32(bigEndian: words.1))
        let low = UInt64(UInt32(bigEndian: words.2)) << 32 | UInt64(UInt32(bigEndian: words.3))
        // Sets a scope for fe80::/10 only, as getsockname(2) does.
        self = .ipv6(high: high, low: low, port: port, scope: high >> 54 == 0x3FA ? interface : 0)
    }
}
