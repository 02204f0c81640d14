/// How a new connection's listener is chosen.
enum SteeringChoice: UInt8, Sendable, CaseIterable {
    case automatic, ebpf, cbpf, off

    var name: ByteString {
        switch self {
        case .automatic: "auto"
        case .ebpf: "ebpf"
        case .cbpf: "cbpf"
        case .off: "off"
        }
    }
}
