/// A row of the table of options. It serves the parsers of command lines and configuration files, help, suggestions,
/// shell completion, and the test of the manual.
final class Option: Sendable {
    let key: Key
    /// With its two hyphens.
    let name: StaticString
    /// Another spelling that means the same: a letter, or a former name.
    let alias: StaticString?
    /// The placeholder of the value in help texts; nil for options without a value.
    let value: StaticString?
    let isRepeatable: Bool
    /// Another option that decides the same thing. On the command line one of them replaces the other in a file.
    let rival: Key?
    let places: Places
    let topic: Topic
    /// Half a line for help texts.
    let summary: StaticString
    /// The summary where the option stands behind a verb, if it differs.
    let verbSummary: StaticString?
    let completion: Completion
    /// Parses a value and stores it.
    let parse: @Sendable (Options, ByteString) throws(Malformed) -> Void

    init(
        _ key: Key, _ name: StaticString, takes value: StaticString? = nil, alias: StaticString? = nil,
        repeatable: Bool = false, rival: Key? = nil, _ places: Places, _ topic: Topic, _ summary: StaticString,
        ofVerb verbSummary: StaticString? = nil, completes completion: Completion = .nothing,
        parse: @escaping @Sendable (Options, ByteString) throws(Malformed) -> Void
    ) {
        self.key = key
        self.name = name
        self.alias = alias
        self.value = value
        self.isRepeatable = repeatable
        self.rival = rival
        self.places = places
        self.topic = topic
        self.summary = summary
        self.verbSummary = verbSummary
        self.completion = completion
        self.parse = parse
    }
}

extension Option {
    /// The option's name in the program.
    enum Key: UInt8, Sendable {
        case socket, file, keepDescriptor
        case user, groups, noGroups, noNewPrivileges, chroot, chdir, umask
        case clearEnvironment, keepVariable, environment, environmentFile, updateEnvironment
        case pass
        case app, generation, copies, copy, steering, balance, ready, readyTimeout, watchTime, watchCheck, settle
        case drain, stopSignal, stopMessage, stopTimeout, keepRetired, retiredNice, lockTimeout, runDirectory
        case memoryHigh, memoryMax, appMemoryMax
        case notifyDescriptor, logDescriptor, quiet, debug
        case log, supervision, suspended, atBoot, stateDirectory, permanent, onExit, onDeploy
        case pid, timeout, retired, of, atOnce, inPlace, follow, lines, all, wide, watch
        case config, dryRun, json, help, version
    }

    /// Where an option may stand. Verbs list theirs in their own rows.
    struct Places: OptionSet, Sendable {
        let rawValue: UInt8

        /// On a command line without `--app`.
        static let alone = Places(rawValue: 1)
        /// On a command line with `--app`.
        static let app = Places(rawValue: 2)
        /// On a command line of `deploy`.
        static let deploy = Places(rawValue: 4)
        /// In a configuration file.
        static let file = Places(rawValue: 8)
        /// In the record of a deployment, from which it is repeated.
        static let record = Places(rawValue: 16)

        static let everywhere: Places = [.alone, .app, .deploy, .file, .record]
        /// Options of a generation: with `--app` or `deploy`.
        static let handover: Places = [.app, .deploy, .file, .record]
        /// Options that are not repeated with the deployment.
        static let once: Places = [.app, .deploy, .file]
        /// Options of one copy, which `deploy` adds for each of its own.
        static let oneCopy: Places = [.app, .file]
        static let deployOnly: Places = [.deploy, .file, .record]
        /// On every command line, and nowhere else.
        static let lines: Places = [.alone, .app, .deploy]
        static let verbsOnly: Places = []
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

    /// The values that shells offer.
    enum Completion: Sendable {
        case nothing
        /// These words, with blanks between them.
        case words(StaticString)
        case files, directories
        case users, groups
        /// Names of environment variables, or `NAME=`.
        case variables, assignments
        case sockets, filesToOpen, dialects
        case apps, labels, processes
        case times
        case readiness, supervisors, logs
        /// `auto`, behind `deploy`.
        case copies
        /// The numbers of an app's copies.
        case numbers
        case topics
    }

    var text: ByteString { ByteString(stringLiteral: name) }

    /// Whether `word` is the option's name or alias, with its hyphens.
    func isNamed(_ word: ByteString) -> Bool {
        if word == name { return true }
        guard let alias else { return false }
        return word == alias
    }

    /// Finds an option by its name or alias.
    static func named(_ name: ByteString) -> Option? { all.first { $0.isNamed(name) } }

    static func of(_ key: Key) -> Option { all.first { $0.key == key }! }
}

extension Option {
    /// All rows, in the order in which help texts show them.
    static let all: [Option] =
        launcher + handover + retiring + memory + deploying + ofVerbs + others

    private static let launcher: [Option] = [
        Option(
            .socket, "--socket", takes: "NAME:ADDRESS[,OPTION...]", repeatable: true, .everywhere, .sockets,
            "bind a socket",
            completes: .sockets
        ) { options, value throws(Malformed) in try options.addSocket(value) },
        Option(
            .file, "--file", takes: "NAME:PATH[:FLAGS]", repeatable: true, .everywhere, .files,
            "open a file before the drop",
            completes: .filesToOpen
        ) { options, value throws(Malformed) in try options.addFile(value) },
        Option(
            .keepDescriptor, "--keep-fd", takes: "N", repeatable: true, .everywhere, .files,
            "let the caller's descriptor N through"
        ) { options, value throws(Malformed) in try options.launch.addKeptDescriptor(value) },
        Option(
            .user, "--user", takes: "USER[:GROUP]", .everywhere, .privileges, "become USER, by name or id",
            completes: .users
        ) { options, value throws(Malformed) in options.launch.user = try parseText(value, "user") },
        Option(
            .groups, "--groups", takes: "GROUP[,GROUP...]", rival: .noGroups, .everywhere, .privileges,
            "supplementary groups, instead of USER's own", completes: .groups
        ) { options, value throws(Malformed) in try options.launch.setGroups(value) },
        Option(
            .noGroups, "--no-groups", rival: .groups, .everywhere, .privileges, "no supplementary groups"
        ) { options, _ throws(Malformed) in try options.launch.setGroups(nil) },
        Option(
            .noNewPrivileges, "--no-new-privs", .everywhere, .privileges, "set-user-id programs gain nothing"
        ) { options, _ throws(Malformed) in options.launch.noNewPrivileges = true },
        Option(
            .chroot, "--chroot", takes: "DIR", .everywhere, .privileges, "change the root directory",
            completes: .directories
        ) { options, value throws(Malformed) in options.launch.chroot = try parseText(value, "directory") },
        Option(
            .chdir, "--chdir", takes: "DIR", .everywhere, .privileges, "change the working directory, as USER",
            completes: .directories
        ) { options, value throws(Malformed) in options.launch.chdir = try parseText(value, "directory") },
        Option(
            .umask, "--umask", takes: "MODE", .everywhere, .privileges, "file mode creation mask, in octal",
            completes: .words("022 027 077")
        ) { options, value throws(Malformed) in options.launch.umask = try parseMode(value) },
        Option(
            .clearEnvironment, "--clear-env", .everywhere, .environment, "start with an empty environment"
        ) { options, _ throws(Malformed) in options.launch.clearsEnvironment = true },
        Option(
            .keepVariable, "--keep-env", takes: "NAME", alias: "--keep", repeatable: true, .everywhere, .environment,
            "with --clear-env: keep NAME", completes: .variables
        ) { options, value throws(Malformed) in try options.launch.addKeptVariable(value) },
        Option(
            .environment, "--env", takes: "NAME=VALUE", repeatable: true, .everywhere, .environment, "set a variable",
            completes: .assignments
        ) { options, value throws(Malformed) in try options.launch.addVariable(value) },
        Option(
            .environmentFile, "--env-from", takes: "FILE", [.alone, .app], .environment,
            "the variables in FILE go before the caller's", completes: .files
        ) { options, value throws(Malformed) in options.environmentFile = try parseText(value, "file's name") },
        Option(
            .updateEnvironment, "--update-env", [.deploy], .environment,
            "with deploy: the caller's, not the last time's"
        ) { _, _ throws(Malformed) in },
        Option(
            .pass, "--pass", takes: "DIALECT[,DIALECT...]", .everywhere, .dialects, "how descriptors are announced",
            completes: .dialects
        ) { options, value throws(Malformed) in options.launch.dialects = try parseDialects(value) },
    ]

    private static let handover: [Option] = [
        Option(
            .app, "--app", takes: "NAME", .handover, .apps, "take over from the running generation of NAME",
            completes: .apps
        ) { options, value throws(Malformed) in options.request.name = try parseLabel(value, "an app's name") },
        Option(
            .generation, "--generation", takes: "LABEL", .once, .apps, "this generation's label (default: a number)",
            ofVerb: "the generation of this label",
            completes: .labels
        ) { options, value throws(Malformed) in
            options.request.generation = try parseLabel(value, "a generation's label")
        },
        Option(
            .copies, "--copies", takes: "N", .handover, .apps, "how many copies make it complete (1)",
            completes: .copies
        ) { options, value throws(Malformed) in try options.setCopies(value) },
        Option(
            .copy, "--copy", takes: "I", [.alone, .app, .file], .apps, "which of them this is, from 0",
            ofVerb: "the copy of this number", completes: .numbers
        ) { options, value throws(Malformed) in
            options.request.copy = try parseNumber(value, 0...(Bank.copies - 1))
        },
        Option(
            .steering, "--steering", takes: "auto|ebpf|cbpf|off", .handover, .apps, "how connections are directed",
            completes: .words("auto ebpf cbpf off")
        ) { options, value throws(Malformed) in
            options.request.steering = try parseChoice(
                "steering", value, SteeringChoice.allCases.map { ($0.name, $0) })
        },
        Option(
            .balance, "--balance", takes: "KIND", .handover, .apps, "random, client-ip, cpu or hash",
            completes: .words("random client-ip cpu hash")
        ) { options, value throws(Malformed) in
            options.request.balance = try parseChoice("balance", value, Balance.allCases.map { ($0.name, $0) })
        },
        Option(
            .ready, "--ready", takes: "SPEC", .handover, .apps, "how readiness is known (accept)", completes: .readiness
        ) { options, value throws(Malformed) in options.request.readiness = try parseReadiness(value) },
        Option(
            .readyTimeout, "--ready-timeout", takes: "TIME", .handover, .apps, "until it counts as failed (60s)",
            completes: .times
        ) { options, value throws(Malformed) in
            options.request.readyTimeout = try parseTime(value)
            if options.request.readyTimeout.count == 0 { throw Malformed("nothing is ready in no time") }
        },
        Option(
            .settle, "--settle", takes: "TIME", .handover, .apps, "wait before retiring (cbpf: 200ms)",
            completes: .times
        ) { options, value throws(Malformed) in options.request.settle = try parseTime(value) },
        Option(
            .lockTimeout, "--lock-timeout", takes: "TIME", .handover, .apps, "wait for another handoff (60s)",
            completes: .times
        ) { options, value throws(Malformed) in options.request.lockTimeout = try parseTime(value) },
        Option(
            .runDirectory, "--run-dir", takes: "DIR", .handover, .apps, "where apps are registered",
            completes: .directories
        ) { options, value throws(Malformed) in options.request.runDirectory = try parseRunDirectory(value) },
        Option(
            .notifyDescriptor, "--notify-fd", takes: "N", .oneCopy, .apps, "a newline here when it has taken over"
        ) { options, value throws(Malformed) in options.request.notifyDescriptor = try parseDescriptor(value) },
        Option(
            .logDescriptor, "--log-fd", takes: "N", .oneCopy, .apps, "the helper's lines go here (2)"
        ) { options, value throws(Malformed) in options.request.logDescriptor = try parseDescriptor(value) },
        Option(
            .quiet, "--quiet", rival: .debug, .once, .apps, "warnings only"
        ) { options, _ throws(Malformed) in options.request.verbosity = .quiet },
        Option(
            .debug, "--debug", rival: .quiet, .once, .apps, "every change of state"
        ) { options, _ throws(Malformed) in options.request.verbosity = .everything },
    ]

    private static let retiring: [Option] = [
        Option(
            .drain, "--drain", takes: "TIME", .handover, .retire, "before that: until connections end (0s)",
            completes: .times
        ) { options, value throws(Malformed) in options.request.drain = try parseTime(value) },
        Option(
            .stopSignal, "--stop-signal", takes: "SIGNAL", .handover, .retire, "what tells a copy to stop (TERM)",
            completes: .words("TERM INT QUIT HUP USR1 USR2 WINCH")
        ) { options, value throws(Malformed) in
            guard let signal = parseSignal(value) else {
                throw Malformed("unknown signal '\(value)'", remedy: "use a name like TERM, or a number")
            }
            options.request.stopSignal = signal
        },
        Option(
            .stopMessage, "--stop-message", takes: "MESSAGE", .handover, .retire, "the same through a Node channel",
            completes: .words("shutdown stop quit")
        ) { options, value throws(Malformed) in options.request.stopMessages = try parseStopMessages(value) },
        Option(
            .stopTimeout, "--stop-timeout", takes: "TIME", .handover, .retire, "until KILL (30s)", completes: .times
        ) { options, value throws(Malformed) in options.request.stopTimeout = try parseTime(value) },
        Option(
            .keepRetired, "--keep-retired", takes: "N", .handover, .retire, "generations that may finish (3)"
        ) { options, value throws(Malformed) in options.request.keepRetired = try parseNumber(value, 0...1000) },
        Option(
            .retiredNice, "--retired-nice", takes: "N", .handover, .retire, "nice value of retired copies"
        ) { options, value throws(Malformed) in options.request.retiredNice = try parseNice(value) },
    ]

    private static let memory: [Option] = [
        Option(
            .memoryHigh, "--memory-high", takes: "SIZE", .handover, .memory, "from here on a copy is slowed down"
        ) { options, value throws(Malformed) in options.request.memoryHigh = try parseMemorySize(value) },
        Option(
            .memoryMax, "--memory-max", takes: "SIZE", .handover, .memory, "beyond this the kernel ends a copy"
        ) { options, value throws(Malformed) in options.request.memoryMax = try parseMemorySize(value) },
        Option(
            .appMemoryMax, "--app-memory-max", takes: "SIZE", .handover, .memory, "the same for all copies together"
        ) { options, value throws(Malformed) in options.request.appMemoryMax = try parseMemorySize(value) },
    ]

    private static let deploying: [Option] = [
        Option(
            .log, "--log", takes: "FILE|syslog|-", .deployOnly, .deploy, "where the copies' output goes",
            completes: .logs
        ) { options, value throws(Malformed) in options.deploy.log = try LogDestination(parsing: value) },
        Option(
            .supervision, "--on", takes: "runit:DIR|s6:DIR|systemd", .deployOnly, .deploy,
            "who starts the copies, and starts them again", completes: .supervisors
        ) { options, value throws(Malformed) in options.deploy.supervision = try parseSupervisionTarget(value) },
        Option(
            .watchTime, "--watch", takes: "TIME", .handover, .deploy, "so long the old generation can come back (0s)",
            completes: .times
        ) { options, value throws(Malformed) in options.request.watch = try parseTime(value) },
        Option(
            .watchCheck, "--watch-check", takes: "CMD", .handover, .deploy, "what checks copies until then (--ready)"
        ) { options, value throws(Malformed) in options.request.watchCheck = try parseCommand(value) },
        Option(
            .suspended, "--suspended", [.deploy, .file], .deploy, "take over with copies that stand still"
        ) { options, _ throws(Malformed) in options.deploy.isSuspended = true },
        Option(
            .atBoot, "--at-boot", [.deploy, .file], .deploy, "have boot deploy it from now on, as enable does"
        ) { options, _ throws(Malformed) in options.deploy.startsAtBoot = true },
        Option(
            .stateDirectory, "--state-dir", takes: "DIR", .deployOnly, .deploy, "what is kept for the next boot",
            completes: .directories
        ) { options, value throws(Malformed) in options.request.stateDirectory = try parseRunDirectory(value) },
        Option(
            .permanent, "--permanent", takes: "CODES", .deployOnly, .deploy, "with --on: final exit codes: 0,100-110",
            ofVerb: "exit codes after which it stays down"
        ) { options, value throws(Malformed) in
            _ = try parseExitCodes(value)
            options.deploy.permanent = value
        },
        Option(
            .onExit, "--on-exit", takes: "CMD", .deployOnly, .deploy, "with --on: told of every end of a copy",
            ofVerb: "command that is told of the end"
        ) { options, value throws(Malformed) in options.deploy.onExit = try parseCommand(value) },
        Option(
            .onDeploy, "--on-deploy", takes: "CMD", .deployOnly, .deploy, "run when it has succeeded or failed"
        ) { options, value throws(Malformed) in options.deploy.onDeploy = try parseCommand(value) },
    ]

    private static let ofVerbs: [Option] = [
        Option(
            .pid, "--pid", takes: "PID", rival: .generation, .verbsOnly, .verbs, "the generation of this process",
            completes: .processes
        ) { options, value throws(Malformed) in options.pid = Int32(try parseNumber(value, 1...Int(Int32.max))) },
        Option(
            .timeout, "--timeout", takes: "TIME", .verbsOnly, .verbs, "wait no longer", completes: .times
        ) { options, value throws(Malformed) in options.timeout = try parseTime(value) },
        Option(
            .retired, "--retired", .verbsOnly, .verbs, "only those that are retired"
        ) { options, _ throws(Malformed) in options.onlyRetired = true },
        Option(
            .of, "--of", takes: "LABEL,LABEL", .verbsOnly, .verbs, "labels that take turns", completes: .labels
        ) { options, value throws(Malformed) in
            for label in value.split(on: UInt8(ascii: ",")) {
                options.labels.append(try parseLabel(label, "a generation's label"))
            }
        },
        Option(
            .atOnce, "--at-once", .verbsOnly, .verbs, "stop all copies, then start them again"
        ) { _, _ throws(Malformed) in },
        Option(
            .inPlace, "--in-place", .verbsOnly, .verbs, "the running copies, and no new ones"
        ) { _, _ throws(Malformed) in },
        Option(.all, "--all", .verbsOnly, .verbs, "a line for each generation") { _, _ throws(Malformed) in },
        Option(.wide, "--wide", .verbsOnly, .verbs, "memory and processors, too") { _, _ throws(Malformed) in },
        Option(.watch, "--watch", .verbsOnly, .verbs, "again every second") { _, _ throws(Malformed) in },
        Option(
            .follow, "--follow", alias: "-f", .verbsOnly, .verbs, "and what they write from now on"
        ) { options, _ throws(Malformed) in options.follows = true },
        Option(
            .lines, "--lines", takes: "N", alias: "-n", .verbsOnly, .verbs, "the last N lines (100)"
        ) { options, value throws(Malformed) in options.lines = try parseNumber(value, 0...1 << 30) },
    ]

    private static let others: [Option] = [
        Option(
            .config, "--config", takes: "FILE", [.alone, .app, .deploy, .record], .config, "read options from FILE",
            ofVerb: "the file that describes the app",
            completes: .files
        ) { options, value throws(Malformed) in options.config = try parseText(value, "file's name") },
        Option(
            .dryRun, "--dry-run", .lines, .config, "print the plan, touch nothing"
        ) { options, _ throws(Malformed) in options.isDryRun = true },
        Option(
            .json, "--json", .lines, .config, "with --dry-run or deploy: print JSON", ofVerb: "print JSON"
        ) { options, _ throws(Malformed) in options.isJSON = true },
        Option(
            .help, "--help", takes: "[TOPIC]", alias: "-h", .lines, .config, "show help", completes: .topics
        ) { _, _ throws(Malformed) in },
        Option(
            .version, "--version", alias: "-V", .lines, .config, "show version and build"
        ) { _, _ throws(Malformed) in },
    ]
}

/// Reads a command for the shell.
private func parseCommand(_ value: ByteString) throws(Malformed) -> ByteString {
    if value.trimmed.isEmpty { throw Malformed("the command is missing") }
    return value
}
