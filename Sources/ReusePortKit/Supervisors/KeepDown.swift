/// A command to runsv and s6-supervise.
enum ControlWord: Sendable {
    /// Do not start the service again after the running copy. Only while one runs: otherwise runsv starts one.
    case once
    /// End the service: a running process is sent TERM (by s6 its down-signal) and then CONT.
    case down
}

extension Supervisor {
    /// Tells the supervisor not to start the running copy again when it ends, and returns once it knows. A copy that is
    /// told to stop before that may end first, and be started again.
    func keepDown(_ word: ControlWord = .once, searchPath: ByteString = safeSearchPath) throws(Failure) {
        guard let command = try tell(word, searchPath: searchPath) else { return }
        let deadline = Deadline(after: controlPatience)
        var pause = Pause()
        while !command.isRead {
            if deadline.hasPassed { throw doesNotRead }
            pause.wait(until: deadline)
        }
    }

    /// Sends the command without waiting until it is read. Nil if the supervisor knows already, or if none runs that
    /// would start the copy again.
    func tell(_ word: ControlWord, searchPath: ByteString) throws(Failure) -> ControlCommand? {
        switch self {
        case .runit(let directory):
            // `o` wants the service down and sends no signal; `sv status` says "run: …, want down". The service stays
            // up as long as the copy runs. `sv start` (`u`) undoes it at any time. (runit 2.1.2)
            return try ControlCommand.send(word == .once ? UInt8(ascii: "o") : UInt8(ascii: "d"), to: directory)
        case .s6(let directory):
            // `O` does the same; `s6-svstat` says "up …, want down". `s6-svc -u` undoes it. (s6 2.11)
            return try ControlCommand.send(word == .once ? UInt8(ascii: "O") : UInt8(ascii: "d"), to: directory)
        case .systemd(let unit):
            try SystemdManager(isUser: false, searchPath: searchPath).stop(unit)
            return nil
        case .userSystemd(let unit):
            try SystemdManager(isUser: true, searchPath: searchPath).stop(unit)
            return nil
        }
    }

    /// The signal that this supervisor sends by itself when it is told to keep a copy down; nil if it sends none. `usual`
    /// is it where systemd does not say.
    func ownSignal(or usual: Int32) -> Int32? {
        if serviceFolder != nil { return nil }
        var signal = usual
        for line in show("KillMode,KillSignal,ActiveState") {
            switch line {
            // It would end nothing, or has given the processes up that are left.
            case "KillMode=none", "ActiveState=inactive", "ActiveState=failed": return nil
            default:
                guard line.hasPrefix("KillSignal="), let number = line.dropFirst(11).decimal else { continue }
                signal = Int32(clamping: number)
            }
        }
        return signal
    }

    /// What systemd says of properties of the unit, a line for each; nothing of other supervisors.
    func show(_ properties: ByteString) -> [ByteString] {
        switch self {
        case .runit, .s6: []
        case .systemd(let unit): SystemdManager(isUser: false).show(properties, of: unit)
        case .userSystemd(let unit): SystemdManager(isUser: true).show(properties, of: unit)
        }
    }

    /// The command name of the parent that a copy has while this supervisor would start it again; nil for systemd,
    /// which is also the parent of what it does not start again.
    var processName: ByteString? {
        switch self {
        case .runit: "runsv"
        case .s6: "s6-supervise"
        case .systemd, .userSystemd: nil
        }
    }

    /// The failure of a supervisor that has not read a command within `controlPatience`.
    var doesNotRead: Failure {
        Failure(
            .system, "tell", description, "it does not read its commands",
            remedy: "see whether \(processName ?? "it") is stopped, and send it CONT")
    }
}

/// How long runsv and s6-supervise may take to read a command. Both sleep for a second after a short-lived service.
let controlPatience = Milliseconds.seconds(5)
