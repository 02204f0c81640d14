import CLinux

/// The helper's lines: one per step, to standard error or to `--log-fd`.
struct Log: Sendable {
    var descriptor: Int32
    var verbosity: Verbosity
    /// `web 7`: app and generation.
    var subject: ByteString
    /// Shows the lines in its own way, where somebody looks on.
    var display: Display?

    init(descriptor: Int32, verbosity: Verbosity, subject: ByteString, display: Display? = nil) {
        self.descriptor = descriptor
        self.verbosity = verbosity
        self.subject = subject
        self.display = display
    }

    /// A step of the handoff.
    func step(_ text: ByteString) {
        if let display { return display.step(text) }
        if verbosity >= .steps { write("info", text) }
    }

    /// A change of state that only somebody who looks for a fault wants to see.
    func detail(_ text: ByteString) {
        if let display { return display.detail(text) }
        if verbosity >= .everything { write("debug", text) }
    }

    /// What the user must know, whatever was asked for.
    func warning(_ text: ByteString) {
        if let display { return display.warning(text) }
        write("warning", text)
    }

    private func write(_ level: ByteString, _ text: ByteString) {
        let line: ByteString = "reuseport-exec: \(level): \(subject): \(text.printable)\n"
        // Nobody reads it any more: not a reason to stop a handoff.
        _ = line.bytes.withUnsafeBytes { CLinux.write(descriptor, $0.baseAddress, $0.count) }
    }
}
