/// How the copies of a generation share its connections.
enum Balance: UInt8, Sendable, CaseIterable {
    /// Evenly, each connection by itself.
    case random
    /// By the client's address, IPv4 or IPv6: a client comes back to the copy of the same number while the number of
    /// copies stays.
    case clientIP
    /// By the processor that received the packet.
    case cpu
    /// By addresses and ports of both ends: all packets of a UDP flow reach the same copy.
    case hash

    /// As `--balance` takes it.
    var name: ByteString {
        switch self {
        case .random: "random"
        case .clientIP: "client-ip"
        case .cpu: "cpu"
        case .hash: "hash"
        }
    }

    static func named(_ word: ByteString) -> Balance? { allCases.first { $0.name == word } }

    /// Datagrams of one flow must not be spread.
    func forTransport(_ transport: Transport) -> Balance { transport == .udp && self == .random ? .hash : self }
}
