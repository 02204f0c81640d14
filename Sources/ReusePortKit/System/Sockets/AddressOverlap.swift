/// The address and options of a bind(2), which decide which other sockets it conflicts with.
struct BindAttempt: Hashable, Sendable {
    let internetProtocol: InternetProtocol
    let address: SocketAddress
    /// IPV6_V6ONLY; meaningless for IPv4.
    let isIPv6Only: Bool
    /// The interface that the socket is bound to, 0 for none.
    var interface: UInt32 = 0
    /// The owner of the socket: the effective uid of the process that creates it.
    let uid: UInt32

    /// Returns whether both would get the same packets: the ports are equal, the interfaces do not differ, and the
    /// addresses are equal, or one is the wildcard. `[::]` includes IPv4 unless it is IPv6-only.
    func overlaps(_ record: SocketRecord) -> Bool {
        guard address.port == record.address.port else { return false }
        if interface != 0, record.interface != 0, interface != record.interface { return false }
        let ours = Reach(address, isIPv6Only: isIPv6Only)
        return ours.overlaps(Reach(record.address, isIPv6Only: record.isIPv6Only ?? false))
    }
}

/// The addresses of this host at which clients reach a socket.
private enum Reach {
    case everything
    case everyIPv4
    case everyIPv6
    case ipv4(UInt32)
    case ipv6(UInt64, UInt64)
    case nothing

    init(_ address: SocketAddress, isIPv6Only: Bool) {
        switch address {
        case .ipv4(0, _): self = .everyIPv4
        case .ipv4(let address, _): self = .ipv4(address)
        case .ipv6(0, 0, _, _): self = isIPv6Only ? .everyIPv6 : .everything
        // ::ffff:a.b.c.d is IPv4 on an IPv6 socket.
        case .ipv6(0, let low, _, _) where low >> 32 == 0xFFFF:
            let address = UInt32(truncatingIfNeeded: low)
            self = address == 0 ? .everyIPv4 : .ipv4(address)
        case .ipv6(let high, let low, _, _): self = .ipv6(high, low)
        case .unix: self = .nothing
        }
    }

    func overlaps(_ other: Reach) -> Bool {
        switch (self, other) {
        case (.nothing, _), (_, .nothing): false
        case (.everything, _), (_, .everything): true
        case (.everyIPv4, .everyIPv4), (.everyIPv4, .ipv4), (.ipv4, .everyIPv4): true
        case (.everyIPv6, .everyIPv6), (.everyIPv6, .ipv6), (.ipv6, .everyIPv6): true
        case (.ipv4(let one), .ipv4(let two)): one == two
        case (.ipv6(let high, let low), .ipv6(let otherHigh, let otherLow)): high == otherHigh && low == otherLow
        default: false
        }
    }
}
