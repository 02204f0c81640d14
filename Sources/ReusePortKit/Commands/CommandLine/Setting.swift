/// An option that was given on the command line or in a configuration file.
struct Setting: Sendable {
    var option: Option
    var value: ByteString
    var origin: Origin

    init(option: Option, value: ByteString, origin: Origin) {
        (self.option, self.value, self.origin) = (option, value, origin)
    }

    /// An option as if the command line had given it.
    init(_ key: Option.Key, _ value: ByteString = "") {
        self.init(option: .of(key), value: value, origin: .commandLine)
    }

    /// As on a command line; the value of a variable may be a secret.
    var shown: ByteString {
        if value.isEmpty { return option.text }
        let end = option.key == .environment ? value.firstIndex(of: UInt8(ascii: "="), from: 0) : nil
        return "\(option.text) \(end.map { "\(value.prefix($0))=..." } ?? quotedForShell([value]))"
    }

    /// Where a setting stands.
    enum Origin: Sendable {
        case commandLine
        /// Line and column count from 1; the column is that of the value's first byte.
        case file(path: ByteString, line: Int, column: Int)
    }

    /// The error for a value that cannot be parsed.
    func failure(_ malformed: Malformed) -> Failure {
        switch origin {
        case .commandLine:
            let object: ByteString = option.value == nil ? option.text : "\(option.text) \(value)"
            return .usage("parse", object, malformed.reason, remedy: malformed.remedy)
        case .file(let path, let line, let column):
            return .usage(
                "parse", "\(path):\(line):\(column + malformed.offset)", malformed.reason, remedy: malformed.remedy)
        }
    }

    /// Whether the command line replaces this setting of a file.
    func isOverridden(by line: [Setting]) -> Bool {
        line.contains { other in
            other.option.key == option.key && !option.isRepeatable || other.option.key == option.rival
        }
    }
}
