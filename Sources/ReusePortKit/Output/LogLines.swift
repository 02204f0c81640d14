import CLinux

enum LogLevel: Sendable { case step, detail, warning }

/// Writes lines as `reuseport-exec: info: web 7: took over`, one for each step.
struct LogLines: Sendable {
    var descriptor: Int32
    var verbosity: Verbosity
    /// App and generation: `web 7`.
    var subject: ByteString

    func step(_ text: ByteString) {
        if verbosity >= .steps { write("info", text) }
    }

    /// Writes what only `--debug` shows.
    func detail(_ text: ByteString) {
        if verbosity >= .everything { write("debug", text) }
    }

    /// Writes what even `--quiet` shows.
    func warning(_ text: ByteString) { write("warning", text) }

    func write(_ level: LogLevel, _ text: ByteString) {
        switch level {
        case .step: step(text)
        case .detail: detail(text)
        case .warning: warning(text)
        }
    }

    private func write(_ level: ByteString, _ text: ByteString) {
        let line: ByteString = "reuseport-exec: \(level): \(subject): \(text.printable)\n"
        // A handoff goes on without a reader, so errors are ignored.
        _ = line.bytes.withUnsafeBytes { CLinux.write(descriptor, $0.baseAddress, $0.count) }
    }
}
