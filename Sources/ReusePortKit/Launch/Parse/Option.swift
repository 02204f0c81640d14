/// The options of the exec form: the one table that parsing, configuration files, help and suggestions read.
struct Option: Sendable {
    /// What the option is to the program.
    enum Key: UInt8, Sendable {
        case socket, file, keepDescriptor
        case user, groups, noGroups, noNewPrivileges, chroot, chdir, umask
        case clearEnvironment, keep, environment
        case pass
        case app, generation, copies, copy, steering, balance, ready, readyTimeout, settle
        case stopSignal, stopMessage, stopTimeout, keepRetired, retiredNice, lockTimeout, runDirectory
        case memoryHigh, memoryMax, appMemoryMax
        case notifyDescriptor, logDescriptor, quiet, debug
        case log, supervision, suspended, permanent, onExit
        case config, dryRun, json, help, version
    }

    /// The page of `--help` that has it.
    enum Topic: UInt8, CaseIterable, Sendable {
        case sockets, files, privileges, environment, dialects, apps, retire, memory, deploy, config, verbs, codes

        var name: ByteString {
            switch self {
            case .sockets: "sockets"
            case .files: "files"
            case .privileges: "privileges"
            case .environment: "environment"
            case .dialects: "dialects"
            case .apps: "apps"
            case .retire: "retire"
            case .memory: "memory"
            case .deploy: "deploy"
            case .verbs: "verbs"
            case .config: "config"
            case .codes: "codes"
            }
        }
    }

    let key: Key
    /// With its two hyphens.
    let name: StaticString
    /// What stands for the value in help texts; nil for options without one.
    let value: StaticString?
    let isRepeatable: Bool
    let topic: Topic
    /// Half a line for help texts.
    let summary: StaticString

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
    var isForFiles: Bool {
        switch key {
        case .config, .dryRun, .json, .help, .version: false
        default: true
        }
    }

    /// The name without its hyphens, as configuration files have it.
    var bareName: ByteString { ByteString(stringLiteral: name).dropFirst(2) }
}

extension Option {
    /// All of them, in the order in which help texts show them.
    static let all: [Option] = [
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
        Option(.app, "--app", "NAME", .apps, "take over from the running generation of NAME"),
        Option(.generation, "--generation", "LABEL", .apps, "this generation's label (default: a number)"),
        Option(.copies, "--copies", "N", .apps, "how many copies make it complete (1)"),
        Option(.copy, "--copy", "I", .apps, "which of them this is, from 0"),
        Option(.steering, "--steering", "auto|ebpf|cbpf|off", .apps, "how connections are directed"),
        Option(.balance, "--balance", "KIND", .apps, "random, client-ip, cpu or hash"),
        Option(.ready, "--ready", "SPEC", .apps, "how readiness is known (accept)"),
        Option(.readyTimeout, "--ready-timeout", "TIME", .apps, "until it counts as failed (60s)"),
        Option(.settle, "--settle", "TIME", .apps, "wait before retiring (cbpf: 200ms)"),
        Option(.lockTimeout, "--lock-timeout", "TIME", .apps, "wait for another handoff (60s)"),
        Option(.runDirectory, "--run-dir", "DIR", .apps, "where apps are registered"),
        Option(.notifyDescriptor, "--notify-fd", "N", .apps, "a newline here when it has taken over"),
        Option(.logDescriptor, "--log-fd", "N", .apps, "the helper's lines go here (2)"),
        Option(.quiet, "--quiet", nil, .apps, "warnings only"),
        Option(.debug, "--debug", nil, .apps, "every change of state"),
        Option(.stopSignal, "--stop-signal", "SIGNAL", .retire, "what tells a copy to stop (TERM)"),
        Option(.stopMessage, "--stop-message", "MESSAGE", .retire, "the same through a Node channel"),
        Option(.stopTimeout, "--stop-timeout", "TIME", .retire, "until KILL (30s)"),
        Option(.keepRetired, "--keep-retired", "N", .retire, "generations that may finish (3)"),
        Option(.retiredNice, "--retired-nice", "N", .retire, "nice value of retired copies"),
        Option(.memoryHigh, "--memory-high", "SIZE", .memory, "from here on a copy is slowed down"),
        Option(.memoryMax, "--memory-max", "SIZE", .memory, "beyond this the kernel ends a copy"),
        Option(.appMemoryMax, "--app-memory-max", "SIZE", .memory, "the same for all copies together"),
        Option(.log, "--log", "FILE|syslog|-", .deploy, "where the copies' output goes"),
        Option(
            .supervision, "--on", "runit:DIR|s6:DIR|systemd", .deploy, "who starts the copies, and starts them again"),
        Option(.suspended, "--suspended", nil, .deploy, "take over with copies that stand still"),
        Option(.permanent, "--permanent", "CODES", .deploy, "with --on: final exit codes: 0,100-110"),
        Option(.onExit, "--on-exit", "COMMAND", .deploy, "with --on: told of every end of a copy"),
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
