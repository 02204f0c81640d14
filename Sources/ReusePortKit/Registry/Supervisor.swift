/// Who starts a copy again when it ends.
enum Supervisor: Sendable, Equatable {
    /// runit's runsv, by its service directory.
    case runit(ByteString)
    /// s6-supervise, by its service directory.
    case s6(ByteString)
    /// The system's systemd, by the unit.
    case systemd(ByteString)
    /// The caller's own systemd, by the unit.
    case userSystemd(ByteString)

    /// As it is kept in the registry: `runit:/etc/sv/web-blue`.
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

    /// Tells it not to start the running copy again when it ends, and returns once it knows: a copy that is told to
    /// stop earlier may be found dead before the word is, and be started again.
    ///
    /// `once` is only for a copy that runs: runsv takes this as "start it once" when it does not.
    func keepDown(_ word: ControlWord = .once, searchPath: ByteString = safeSearchPath) throws(Failure) {
        guard let command = try tell(word, searchPath: searchPath) else { return }
        let deadline = Deadline(after: controlPatience)
        var pause = Pause()
        while !command.isRead {
            if deadline.hasPassed { throw unread }
            pause.wait(until: deadline)
        }
    }

    /// Starts telling; nil if it has been told, or nobody is there who would start the copy again.
    func tell(_ word: ControlWord, searchPath: ByteString) throws(Failure) -> ControlCommand? {
        switch self {
        case .runit(let directory):
            // `o`: want down, no signal; `sv status` says "run: …, want down". The service stays up as long as the copy
            // runs. `sv start` (`u`) undoes it at any time, and starts it if it is down. (runit 2.1.2)
            return try ControlCommand.send(word == .once ? UInt8(ascii: "o") : UInt8(ascii: "d"), to: directory)
        case .s6(let directory):
            // `O`: the same; `s6-svstat` says "up …, want down". `s6-svc -u` undoes it. (s6 2.11)
            return try ControlCommand.send(word == .once ? UInt8(ascii: "O") : UInt8(ascii: "d"), to: directory)
        case .systemd(let unit):
            try stopUnit(unit, ofUser: false, searchPath: searchPath)
            return nil
        case .userSystemd(let unit):
            try stopUnit(unit, ofUser: true, searchPath: searchPath)
            return nil
        }
    }

    /// The name of the process whose child a copy is that it would start again; nil where that tells nothing.
    var processName: ByteString? {
        switch self {
        case .runit: "runsv"
        case .s6: "s6-supervise"
        case .systemd, .userSystemd: nil
        }
    }

    var unread: Failure {
        Failure(
            .system, "tell", description, "it does not read its commands",
            remedy: "see whether \(processName ?? "it") is stopped")
    }
}

/// What is said to runsv and s6-supervise.
enum ControlWord: Sendable {
    /// The copy that runs is the last.
    case once
    /// Nothing is to run. Does nothing more if nothing does; what does is sent TERM (s6: its down-signal), then CONT.
    case down
}

/// Where system programs are looked for, whatever the caller's PATH is.
let safeSearchPath: ByteString = "/usr/bin:/bin"

/// How long runsv and s6-supervise may take to read a command. Both sleep for a second after a short-lived service.
let controlPatience = Milliseconds.seconds(5)
