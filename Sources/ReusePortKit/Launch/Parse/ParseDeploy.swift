/// What is asked for with `deploy`, beside what each of its copies is.
struct DeployOptions: Sendable, Equatable {
    /// Where the copies write to; nil: the usual file.
    var log: LogDestination?
    /// Who starts the copies; nil: this process does.
    var supervision: SupervisionTarget?
    /// Whether the copies are stopped before they take over.
    var isSuspended = false
    /// With a supervisor: the exit codes after which it does not start a copy again.
    var permanent: ByteString?
    /// With a supervisor: what is run after each end of a copy.
    var onExit: ByteString?
    /// Refuses what goes with a supervisor only.
    func check() throws(Failure) {
        if supervision == nil {
            if permanent != nil { throw .usage("parse", "--permanent", "it goes with --on") }
            if onExit != nil { throw .usage("parse", "--on-exit", "it goes with --on") }
        } else if let log {
            if supervision == .systemd {
                throw .usage("parse", "--log", "with --on systemd the journal has the output")
            }
            guard case .file = log else {
                throw .usage("parse", "--log", "with --on it names a directory, in which each copy gets its own")
            }
        }
    }

    /// As many copies as there are processors.
    var countsProcessors = false

    /// Takes an option of these; false if it is none.
    mutating func apply(_ option: Option, _ value: ByteString) throws(Malformed) -> Bool {
        switch option.key {
        case .log: log = try LogDestination(parsing: value)
        case .supervision: supervision = try parseSupervisionTarget(value)
        case .suspended: isSuspended = true
        case .permanent:
            _ = try parseExitCodes(value)
            permanent = value
        case .onExit:
            if value.trimmed.isEmpty { throw Malformed("the command is missing") }
            onExit = value
        case .copies where value == "auto": countsProcessors = true
        default: return false
        }
        return true
    }
}

/// `deploy`, `start` or `migrate`, as it was written; what was left out may be known from the last time.
struct DeployRequest: Sendable {
    var settings: [Setting]
    var command: [ByteString]
}

/// What a configuration file says to verbs: which app it describes, and where that is registered.
func describedApp(_ path: ByteString) throws(Failure) -> AppRequest {
    let config = Setting(option: .of(.config), value: path, origin: .commandLine)
    let options = try Options([config], command: ["-"], isDeploy: true)
    guard let app = options.app else { throw .usage("find", "the app in \(path)", "it names none") }
    return app
}

/// Where the output of copies goes that no supervisor reads.
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
            // As everywhere, what is meant as one is not taken for a name.
            if text.replacing("{copy}", with: "").contains(UInt8(ascii: "{")) {
                throw Malformed("'\(text)' has a template that is not known here", remedy: "there is {copy}")
            }
            self = .file(text)
        }
    }
}
