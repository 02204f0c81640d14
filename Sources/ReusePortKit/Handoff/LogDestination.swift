/// Where copies without a supervisor write to.
enum LogDestination: Sendable, Equatable {
    /// Appended to a file. `{copy}` in its path is the copy's number.
    case file(ByteString)
    case syslog
    /// Where deploy's own output goes.
    case inherited

    init(parsing text: ByteString) throws(Malformed) {
        switch text {
        case "syslog": self = .syslog
        case "-": self = .inherited
        default:
            if text.isEmpty || text.hasSuffix("/") { throw Malformed("this is no file's name") }
            if text.replacing("{copy}", with: "").contains(UInt8(ascii: "{")) {
                throw Malformed("unknown template in '\(text)'", remedy: "use {copy}")
            }
            self = .file(text)
        }
    }

    /// As `--log` takes it.
    var description: ByteString {
        switch self {
        case .file(let path): path
        case .syslog: "syslog"
        case .inherited: "-"
        }
    }
}
