/// How the copies of a generation share its connections.
enum Balance: UInt8, Sendable, CaseIterable {
    /// Each connection goes to any copy, at random.
    case random
    /// By the client's address, IPv4 or IPv6: a client reaches the copy with the same number as long as the generation
    /// has as many copies.
    case clientIP
    /// By the processor that received the packet.
    case cpu
    /// By addresses and ports of both ends: all packets of a UDP flow reach the same copy.
    case hash

    /// The value of `--balance`.
    var name: ByteString {
        switch self {
        case .random: "random"
        case .clientIP: "client-ip"
        case .cpu: "cpu"
        case .hash: "hash"
        }
    }

    static func named(_ word: ByteString) -> Balance? { allCases.first { $0.name == word } }

    /// Replaces `random` for UDP, where it would spread the datagrams of one flow over all copies.
    func forTransport(_ transport: Transport) -> Balance { transport == .udp && self == .random ? .hash : self }
}
