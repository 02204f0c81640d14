import CLinux

/// One copy of one generation, as a supervisor is to run it.
struct Service: Sendable {
    var app: ByteString
    var label: ByteString
    var copy: Int
    /// What is to be executed: the launcher by its absolute path, with all its options and the target.
    var command: [ByteString]
    /// The configuration file as it was when this was deployed: what is started again must not be something else. In a
    /// service directory it is the file `config`.
    var configuration: ByteString?
    /// Where relative paths in the command begin: absolute.
    var workingDirectory: ByteString
    /// What `--run-dir` said.
    var runDirectory: ByteString?
    /// The folder of the app's logs; nil: `/var/log/reuseport-exec/APP`, or the same in `~/.local/state`.
    var logDirectory: ByteString?
    /// What `--permanent` said.
    var permanent: ByteString?
    /// What `--on-exit` said.
    var onExit: ByteString?
    /// For a unit, which has settings of its own for them.
    var memoryHigh: UInt64?
    var memoryMax: UInt64?
    var stopSignal: Int32 = SIGTERM
    var stopTimeout = Milliseconds.seconds(30)
    var readyTimeout = Milliseconds.seconds(60)
    /// The number at which s6 is told that the copy has taken over. The target never has it, but it must be none that
    /// `--keep-fd` or `--ready fd:N` names.
    var notifyDescriptor: Int32 = 63

    var marker: ServiceMarker { ServiceMarker(app: app, label: label, copy: copy) }

    /// Of the service directory, and in the unit's name. At most 64 + 64 + 3 bytes and two hyphens: beside it there is
    /// room for more in the 255 that a name may have.
    var name: ByteString { "\(app)-\(label)-\(copy)" }

    /// The options of `finish` and `check` that say whom they are about.
    var finishOptions: [ByteString] {
        var words: [ByteString] = [app, "--generation", label, "--copy", ByteString(decimal: copy)]
        if let permanent { words += ["--permanent", permanent] }
        if let onExit { words += ["--on-exit", onExit] }
        return words + runDirectoryOption
    }

    var runDirectoryOption: [ByteString] { runDirectory.map { ["--run-dir", $0] } ?? [] }

    /// Refuses what no supervisor could run.
    func check() throws(Failure) {
        guard let program = command.first, program.hasPrefix("/") else {
            throw .usage("write", "service \(name)", "the launcher's path does not start at the root")
        }
        guard workingDirectory.hasPrefix("/") else {
            throw .usage("write", "service \(name)", "'\(workingDirectory)' does not start at the root")
        }
    }
}

/// What says that a service directory was written here, and for whom: its file `.reuseport-exec`, or a unit's first
/// line.
struct ServiceMarker: Sendable, Equatable {
    var app: ByteString
    var label: ByteString
    var copy: Int

    static let fileName: ByteString = ".reuseport-exec"

    var text: ByteString {
        var file = RegistryText()
        file.add("format", "1")
        file.add("service", app, label, ByteString(decimal: copy))
        return file.text
    }

    init(app: ByteString, label: ByteString, copy: Int) {
        self.app = app
        self.label = label
        self.copy = copy
    }

    func isBefore(_ other: ServiceMarker) -> Bool {
        label == other.label ? copy < other.copy : label.bytes.lexicographicallyPrecedes(other.label.bytes)
    }

    init?(text: ByteString) {
        guard let file = RegistryText(text), file.number("format") == 1, let fields = file.fields("service"),
            fields.count == 3, let copy = fields[2].decimal, copy < UInt64(Bank.copies)
        else { return nil }
        self.init(app: fields[0], label: fields[1], copy: Int(copy))
    }
}
