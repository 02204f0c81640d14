// How a supervised process has ended, in the words in which its supervisor tells the finish script.

extension ProcessEnd {
    /// Reads the arguments of a finish script. runit gives the exit code, or -1; then the low byte of the status of
    /// wait(2), in which 128 means a core dump. s6 gives the exit code, or 256; then the signal, and more that does not
    /// matter here.
    init(words: [ByteString]) throws(Malformed) {
        let first = words[0]
        if first == "-1" || first == "256" {
            guard words.count > 1, let number = words[1].decimal, number & 0x7F > 0, number < 256 else {
                throw Malformed("the number of the signal is missing", remedy: "write finish APP … -- \"$@\"")
            }
            self = .killed(Int32(number & 0x7F))
        } else {
            self = .exited(Int32(try parseNumber(first, 0...255)))
        }
    }

    /// Reads what systemd gives to ExecStopPost= in the environment; nil if the main process has not ended, or never ran.
    static func fromEnvironment() -> ProcessEnd? {
        guard let kind = environmentVariable("EXIT_CODE"), let value = environmentVariable("EXIT_STATUS") else {
            return nil
        }
        switch kind {
        case "exited": return value.decimal.flatMap { $0 < 256 ? .exited(Int32($0)) : nil }
        case "killed", "dumped": return parseSignal(value).map { .killed($0) }
        default: return nil
        }
    }

    /// The value of REUSEPORT_EXEC_KIND for `--on-exit`.
    var kind: ByteString {
        switch self {
        case .exited(0): "normal"
        case .exited: "abnormal"
        case .killed: "signal"
        }
    }
}
