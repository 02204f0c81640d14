/// The supervisor of a copy, which starts it again when it ends.
enum Supervisor: Sendable, Equatable {
    /// runit's runsv, by its service directory.
    case runit(ByteString)
    /// s6-supervise, by its service directory.
    case s6(ByteString)
    /// The system's systemd, by the unit.
    case systemd(ByteString)
    /// The caller's own systemd, by the unit.
    case userSystemd(ByteString)

    /// As the registry keeps it: `runit:/etc/sv/web-blue`.
    var description: ByteString { "\(kind):\(place)" }

    /// Reads what `description` wrote; nil for anything else.
    init?(parsing text: ByteString) {
        guard let (kind, place) = text.cut(at: UInt8(ascii: ":")), !place.isEmpty, !place.contains(0)
        else { return nil }
        switch kind {
        case "runit" where place.hasPrefix("/"): self = .runit(place)
        case "s6" where place.hasPrefix("/"): self = .s6(place)
        case "systemd": self = .systemd(place)
        case "systemd-user": self = .userSystemd(place)
        default: return nil
        }
    }

    /// The service directory; nil for a unit.
    var serviceFolder: ByteString? {
        switch self {
        case .runit(let directory), .s6(let directory): directory
        case .systemd, .userSystemd: nil
        }
    }

    private var kind: ByteString {
        switch self {
        case .runit: "runit"
        case .s6: "s6"
        case .systemd: "systemd"
        case .userSystemd: "systemd-user"
        }
    }

    private var place: ByteString {
        switch self {
        case .runit(let place), .s6(let place), .systemd(let place), .userSystemd(let place): place
        }
    }
}
