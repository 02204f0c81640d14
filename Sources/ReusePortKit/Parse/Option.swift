/// The options of the exec form: the one table that parsing, configuration files, help and suggestions read.
public struct Option: Sendable {
    /// What the option is to the program.
    public enum Key: UInt8, Sendable {
        case socket, file, keepDescriptor
        case user, groups, noGroups, noNewPrivileges, chroot, chdir, umask
        case clearEnvironment, keep, environment
        case pass
        case config, dryRun, json, help, version
    }

    /// The page of `--help` that has it.
    public enum Topic: UInt8, CaseIterable, Sendable {
        case sockets, files, privileges, environment, dialects, config, codes

        public var name: ByteString {
            switch self {
            case .sockets: "sockets"
            case .files: "files"
            case .privileges: "privileges"
            case .environment: "environment"
            case .dialects: "dialects"
            case .config: "config"
            case .codes: "codes"
            }
        }
    }

    public let key: Key
    /// With its two hyphens.
    public let name: StaticString
    /// What stands for the value in help texts; nil for options without one.
    public let value: StaticString?
    public let isRepeatable: Bool
    public let topic: Topic
    /// Half a line for help texts.
    public let summary: StaticString

    init(
        _ key: Key, _ name: StaticString, _ value: StaticString?, repeatable: Bool = false, _ topic: Topic,
        _ summary: StaticString
    ) {
        self.key = key
        self.name = name
        self.value = value
        self.isRepeatable = repeatable
        self.topic = topic
        self.summary = summary
    }

    /// Whether the option may stand in a configuration file.
    public var isForFiles: Bool {
        switch key {
        case .config, .dryRun, .json, .help, .version: false
        default: true
        }
    }

    /// The name without its hyphens, as configuration files have it.
    public var bareName: ByteString { ByteString(stringLiteral: name).dropFirst(2) }
}

extension Option {
    /// All of them, in the order in which help texts show them.
    public static let all: [Option] = [
        Option(.socket, "--socket", "NAME:ADDRESS[,OPTION...]", repeatable: true, .sockets, "bind a socket"),
        Option(.file, "--file", "NAME:PATH[:FLAGS]", repeatable: true, .files, "open a file before the drop"),
        Option(.keepDescriptor, "--keep-fd", "N", repeatable: true, .files, "let the caller's descriptor N through"),
        Option(.user, "--user", "USER[:GROUP]", .privileges, "become USER, by name or id"),
        Option(.groups, "--groups", "GROUP[,GROUP...]", .privileges, "supplementary groups, instead of USER's own"),
        Option(.noGroups, "--no-groups", nil, .privileges, "no supplementary groups"),
        Option(.noNewPrivileges, "--no-new-privs", nil, .privileges, "set-user-id programs gain nothing"),
        Option(.chroot, "--chroot", "DIR", .privileges, "change the root directory"),
        Option(.chdir, "--chdir", "DIR", .privileges, "change the working directory, as USER"),
        Option(.umask, "--umask", "MODE", .privileges, "file mode creation mask, in octal"),
        Option(.clearEnvironment, "--clear-env", nil, .environment, "start with an empty environment"),
        Option(.keep, "--keep", "NAME", repeatable: true, .environment, "with --clear-env: keep NAME"),
        Option(.environment, "--env", "NAME=VALUE", repeatable: true, .environment, "set a variable"),
        Option(.pass, "--pass", "DIALECT[,DIALECT...]", .dialects, "how descriptors are announced"),
        Option(.config, "--config", "FILE", .config, "read options from FILE"),
        Option(.dryRun, "--dry-run", nil, .config, "print the plan, touch nothing"),
        Option(.json, "--json", nil, .config, "with --dry-run: print it as JSON"),
        Option(.help, "--help", "[TOPIC]", .config, "show help"),
        Option(.version, "--version", nil, .config, "show version and build"),
    ]

    /// The option that is written so.
    static func named(_ name: ByteString) -> Option? {
        all.first { ByteString(stringLiteral: $0.name) == name }
    }

    static func of(_ key: Key) -> Option { all.first { $0.key == key }! }
}
