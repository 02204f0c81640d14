/// A listener of a copy. The cookie identifies it.
///
/// A class, because it is in all that is said of listeners: as a struct it takes more room in the program.
final class ListenerIdentity: Hashable, Sendable {
    /// The socket's name in the app.
    let name: ByteString
    let transport: Transport
    /// The address that it is bound to; for a Unix socket the path at bind(2), which may have been renamed since.
    let address: SocketAddress
    let isDualStack: Bool
    let cookie: UInt64
    /// The descriptor at which the library of dialect `adopt` offers it; 0 without that.
    let offered: Int32

    init(
        name: ByteString, transport: Transport, address: SocketAddress, isDualStack: Bool, cookie: UInt64,
        offered: Int32 = 0
    ) {
        self.name = name
        self.transport = transport
        self.address = address
        self.isDualStack = isDualStack
        self.cookie = cookie
        self.offered = offered
    }

    /// Another one that differs in what is given.
    func with(
        address: SocketAddress? = nil, cookie: UInt64? = nil, offered: Int32? = nil
    ) -> ListenerIdentity {
        ListenerIdentity(
            name: name, transport: transport, address: address ?? self.address, isDualStack: isDualStack,
            cookie: cookie ?? self.cookie, offered: offered ?? self.offered)
    }

    static func == (one: ListenerIdentity, other: ListenerIdentity) -> Bool {
        one.cookie == other.cookie && one.name == other.name && one.transport == other.transport
            && one.address == other.address && one.isDualStack == other.isDualStack && one.offered == other.offered
    }

    func hash(into hasher: inout Hasher) { hasher.combine(cookie) }
}
