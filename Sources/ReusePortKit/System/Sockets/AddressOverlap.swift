/// What a socket asks for with bind(2): it decides which other sockets are in its way.
struct BindAttempt: Hashable, Sendable {
    let internetProtocol: InternetProtocol
    let address: SocketAddress
    /// IPV6_V6ONLY; of no meaning for IPv4.
    let isIPv6Only: Bool
    /// The interface it is bound to, 0 for none.
    let interface: UInt32
    /// The owner of the socket: the effective uid of who creates it.
    let uid: UInt32

    init(
        _ internetProtocol: InternetProtocol, _ address: SocketAddress, isIPv6Only: Bool, interface: UInt32 = 0,
        uid: UInt32
    ) {
        self.internetProtocol = internetProtocol
        self.address = address
        self.isIPv6Only = isIPv6Only
        self.interface = interface
        self.uid = uid
    }

    /// Whether both would be given the same packets: same port, interfaces that do not differ, and addresses that are
    /// the same or of which one is the wildcard. `[::]` takes in IPv4 unless it is IPv6-only.
    func overlaps(_ record: SocketRecord) -> Bool {
        guard address.port == record.address.port else { return false }
        if interface != 0, record.interface != 0, interface != record.interface { return false }
        let ours = Reach(address, isIPv6Only: isIPv6Only)
        return ours.overlaps(Reach(record.address, isIPv6Only: record.isIPv6Only ?? false))
    }
}

/// The addresses of this host that a socket is reached at.
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
        // ::ffff:a.b.c.d is IPv4 by way of an IPv6 socket.
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
