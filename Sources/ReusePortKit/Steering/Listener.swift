/// A listener as the registry records it.
struct Listener: Sendable, Equatable {
    var identity: ListenerIdentity
    /// Where clients find a Unix socket; nil for other sockets.
    var publicPath: ByteString?

    /// Whether it is a member of a reuseport group; a Unix socket is not.
    var isInGroup: Bool { identity.transport != .unix }
}
