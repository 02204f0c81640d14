import CLinux

/// The service with which a supervisor runs one copy of a generation.
final class Service {
    var app: ByteString
    var label: ByteString
    var copy: Int
    /// The command to execute: the launcher by its absolute path, with all its options and the target.
    var command: [ByteString]
    /// The configuration file as it was at the deploy, so that a copy that is started again is the same. In a service
    /// directory it is the file `config`.
    var configuration: ByteString?
    /// The environment of the deploy, in the form of /proc/PID/environ, and after an empty entry the values of `--env`. In
    /// a service directory it is the file `environment`.
    var environment: ByteString?
    /// Where relative paths in the command begin: absolute.
    var workingDirectory: ByteString
    /// The value of `--run-dir`.
    var runDirectory: ByteString?
    /// The folder of the app's logs; nil: `/var/log/reuseport-exec/APP`, or `~/.local/state/reuseport-exec/APP`.
    var logDirectory: ByteString?
    /// The value of `--permanent`.
    var permanent: ByteString?
    /// The value of `--on-exit`.
    var onExit: ByteString?
    /// Limits of a unit: systemd sets them, not the launcher.
    var memoryHigh: UInt64?
    var memoryMax: UInt64?
    var stopSignal: Int32 = SIGTERM
    var stopTimeout = Milliseconds.seconds(30)
    var readyTimeout = Milliseconds.seconds(60)
    /// The number at which s6 is told that the copy has taken over. The target never has it, but it must be none that
    /// `--keep-fd` or `--ready fd:N` names.
    var notifyDescriptor: Int32 = 63

    init(app: ByteString, label: ByteString, copy: Int, command: [ByteString], workingDirectory: ByteString) {
        self.app = app
        self.label = label
        self.copy = copy
        self.command = command
        self.workingDirectory = workingDirectory
    }

    var marker: ServiceMarker { ServiceMarker(app: app, label: label, copy: copy) }

    /// The name of the service directory, and a part of the unit's. It has at most 64 + 64 + 3 bytes and two hyphens,
    /// which leaves room for prefixes and suffixes in the 255 bytes of a file name.
    var name: ByteString { "\(app)-\(label)-\(copy)" }

    /// The options of `finish` for this copy.
    var finishOptions: [ByteString] {
        var words: [ByteString] = [app, "--generation", label, "--copy", ByteString(decimal: copy)]
        if let permanent { words += ["--permanent", permanent] }
        if let onExit { words += ["--on-exit", onExit] }
        return words + runDirectoryOption
    }

    var runDirectoryOption: [ByteString] { runDirectory.map { ["--run-dir", $0] } ?? [] }

    /// Refuses a service that no supervisor could run.
    func check() throws(Failure) {
        guard let program = command.first, program.hasPrefix("/") else {
            throw .usage("write", "service \(name)", "the launcher's path does not start at the root")
        }
        guard workingDirectory.hasPrefix("/") else {
            throw .usage("write", "service \(name)", "'\(workingDirectory)' does not start at the root")
        }
    }
}

/// Marks a service directory or a unit as written by deploy for a copy: the file `.reuseport-exec` in the directory, the
/// first line of a unit.
struct ServiceMarker: Sendable, Equatable {
    var app: ByteString
    var label: ByteString
    var copy: Int

    static var fileName: ByteString { ".reuseport-exec" }

    var text: ByteString {
        var file = RegistryText()
        file.add("format", "1")
        file.add("service", list: [app, label, ByteString(decimal: copy)])
        return file.text
    }

    init(app: ByteString, label: ByteString, copy: Int) {
        self.app = app
        self.label = label
        self.copy = copy
    }

    func isBefore(_ other: ServiceMarker) -> Bool {
        label == other.label ? copy < other.copy : label.precedes(other.label)
    }

    init?(text: ByteString) {
        guard let file = RegistryText(text), file.number("format") == 1, let fields = file.fields("service"),
            fields.count == 3, let copy = fields[2].decimal, copy < UInt64(Bank.copies)
        else { return nil }
        self.init(app: fields[0], label: fields[1], copy: Int(copy))
    }
}
