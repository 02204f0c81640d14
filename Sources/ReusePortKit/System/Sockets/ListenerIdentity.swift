/// A listener of a copy. The cookie identifies it.
struct ListenerIdentity: Hashable, Sendable {
    /// The socket's name in the app.
    var name: ByteString
    var transport: Transport
    /// The address that it is bound to; for a Unix socket the path at bind(2), which may have been renamed since.
    var address: SocketAddress
    var isDualStack: Bool
    var cookie: UInt64
    /// The descriptor at which the library of dialect `adopt` offers it; 0 without that.
    var offered: Int32 = 0
}
