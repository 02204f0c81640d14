/// A listener of a copy, as the kernel knows it.
struct ListenerIdentity: Hashable, Sendable {
    /// The socket's name in the app.
    var name: ByteString
    var transport: Transport
    /// Where it is bound; of a Unix socket the path to which it was bound first.
    var address: SocketAddress
    var isDualStack: Bool
    var cookie: UInt64

    init(
        name: ByteString, transport: Transport, address: SocketAddress, isDualStack: Bool, cookie: UInt64
    ) {
        self.name = name
        self.transport = transport
        self.address = address
        self.isDualStack = isDualStack
        self.cookie = cookie
    }
}
