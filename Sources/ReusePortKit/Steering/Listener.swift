/// A listener as it is recorded, and for a Unix socket the path under which clients are to find it.
struct Listener: Sendable, Equatable {
    var identity: ListenerIdentity
    var publicPath: ByteString?

    /// Whether it is a member of a reuseport group; a Unix socket is not.
    var isInGroup: Bool { identity.transport != .unix }
}
