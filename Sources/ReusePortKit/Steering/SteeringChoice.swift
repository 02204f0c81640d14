/// The value of `--steering`: how the listener for a new connection is chosen.
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
