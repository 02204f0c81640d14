/// The supervisor that starts, logs and restarts the copies of a generation: the value of `--on`.
enum SupervisionTarget: Sendable, Equatable {
    /// The runsvdir of this directory.
    case runit(ByteString)
    /// The s6-svscan of this scan directory.
    case s6(ByteString)
    /// systemd: root's is the system's, anybody else's the user's own.
    case systemd

    /// As `--on` takes it.
    var description: ByteString {
        switch self {
        case .runit(let path): "runit:\(path)"
        case .s6(let path): "s6:\(path)"
        case .systemd: "systemd"
        }
    }

    /// The directory of service directories.
    var directory: ByteString? {
        switch self {
        case .runit(let path), .s6(let path): path
        case .systemd: nil
        }
    }
}

/// Reads `runit:/etc/service`, `s6:/run/service` or `systemd`.
func parseSupervisionTarget(_ text: ByteString) throws(Malformed) -> SupervisionTarget {
    if text == "systemd" { return .systemd }
    let unknown = Malformed("unknown supervisor '\(text)'", remedy: "use runit:DIR, s6:SCANDIR or systemd")
    guard let (kind, path) = text.cut(at: UInt8(ascii: ":")) else { throw unknown }
    guard path.hasPrefix("/"), !path.contains(0) else {
        throw Malformed("'\(path)' does not start at the root", at: kind.count + 1)
    }
    switch kind {
    case "runit": return .runit(path)
    case "s6": return .s6(path)
    default: throw unknown
    }
}
