/// The transport of a socket.
enum Transport: UInt8, Sendable {
    case tcp, udp, unix

    var name: ByteString {
        switch self {
        case .tcp: "tcp"
        case .udp: "udp"
        case .unix: "unix"
        }
    }
}
