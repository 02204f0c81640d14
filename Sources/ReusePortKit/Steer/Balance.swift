/// How the copies of a generation share its connections.
enum Balance: Equatable, Sendable {
    /// Evenly, each connection by itself.
    case random
    /// By the client's address, IPv4 or IPv6: a client comes back to the same copy while the number of copies stays.
    case clientIP
    /// By the processor that received the packet.
    case cpu
    /// By addresses and ports of both ends: all packets of a UDP flow reach the same copy.
    case hash
}
