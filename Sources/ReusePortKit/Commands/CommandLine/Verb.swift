/// A command other than running a target.
enum Verb: UInt8, Sendable {
    case list, count, state, wait, check, next, deploy, scale, restart, suspend, resume, retire, terminate, finish
    case enable, disable, boot, export, logs, history, forget, rollback

    /// Finds a verb by one of its names.
    static func named(_ word: ByteString) -> Verb? { VerbRow.all.first { $0.names.contains(word) }?.verb }

    /// Suggests a verb for a word that is none: a word of other tools, or a mistyped verb.
    static func meant(by word: ByteString) -> ByteString? {
        if let verb = synonym(of: word, in: synonyms) { return verb }
        return word.count > 2 ? nearest(to: word, among: VerbRow.all.flatMap { $0.names }) : nil
    }

    /// Words of other tools, and what they lead to.
    private static let synonyms: [ByteString] = [
        "stop kill down undeploy>terminate", "status show info describe inspect env>state", "ps top monit>list",
        "reload upgrade update>migrate", "undo revert back>rollback", "run up launch>deploy", "log tail journal>logs",
        "rm remove delete purge clean>forget", "save startup>enable", "unstartup>disable",
    ]

    var row: VerbRow { VerbRow.all.first { $0.verb == self }! }
    /// Its name, then others that mean the same.
    var names: [ByteString] { row.names }
    @inline(never)
    var name: ByteString { names[0] }
}

/// A row of the table of verbs. Parser, help, suggestions, completion and the test of the manual read it.
final class VerbRow: Sendable {
    let verb: Verb
    /// The name, and others that mean the same, with blanks between them.
    private let words: StaticString
    let app: AppArgument
    let operand: Operand
    /// An option that must be given.
    let required: Option.Key?
    /// Its options. All verbs have those in `common` as well.
    let options: [Option.Key]
    /// Half a line for help texts.
    let summary: StaticString
    /// The text below the options on its page.
    let note: StaticString

    /// Whether it is about one app, all apps, or either.
    enum AppArgument: Sendable { case never, optional, always }

    /// The operands that may follow the app.
    enum Operand: Sendable {
        case none
        /// How many copies.
        case copies
        /// How a supervised process has ended, in the words of its supervisor.
        case ending
    }

    @inline(never)
    init(
        _ verb: Verb, _ words: StaticString, app: AppArgument, operand: Operand = .none, required: Option.Key? = nil,
        options: [Option.Key] = [], _ summary: StaticString, _ note: StaticString = ""
    ) {
        self.verb = verb
        self.words = words
        self.app = app
        self.operand = operand
        self.required = required
        self.options = options
        self.summary = summary
        self.note = note
    }

    var names: [ByteString] { ByteString(stringLiteral: words).split(on: UInt8(ascii: " ")) }

    /// Options of every verb except `deploy`, which has those of a command line.
    static let common: [Option.Key] = [.runDirectory, .config, .quiet]

    func takes(_ option: Option) -> Bool {
        VerbRow.common.contains(option.key) || options.contains(option.key) || required == option.key
    }

    /// All rows, in the order in which help texts show them; those of scripts from `wait` on.
    static let all: [VerbRow] = [
        VerbRow(.deploy, "deploy start migrate", app: .optional, "hand over to new copies; see --help deploy"),
        VerbRow(
            .rollback, "rollback", app: .always, options: [.generation, .copies, .debug, .json],
            "deploy what served before again",
            """
            While --watch keeps the generation before, that gets the connections back at
            once. Else it is deployed again, or --generation: its command, options,
            environment and directory, with what is in there now. So keep each release in a
            directory of its own. Like a deploy it changes nothing if it fails. One that
            crashed is left out unless it is named. A second rollback leads forward again.
            """),
        VerbRow(
            .list, "list ls", app: .optional, options: [.json, .all, .wide, .watch],
            "a line for each app, or its generations",
            """
            A line for each app: who serves, and under NOTE what is not well and what helps.
            --all, or an APP, shows its generations. State in words: state APP.
            """),
        VerbRow(
            .state, "state st", app: .optional, options: [.json, .watch], "everything that is known",
            """
            Generations, copies, listeners and who holds them, why what has ended did so;
            command, directory, user, log, environment, and whether boot deploys it.
            """),
        VerbRow(
            .logs, "logs", app: .always, options: [.follow, .lines, .generation, .copy], "what the copies have written",
            """
            The last 100 lines of the app's log, where all generations write; a line says
            where each begins. With --generation it is all from that line on. With
            --on systemd it is journalctl(1), else tail(1).
            """),
        VerbRow(
            .history, "history", app: .always, options: [.json], "who has changed it, when, with what result",
            """
            Each deploy and each verb that has changed something, the newest last. The
            values of variables are not kept.
            """),
        VerbRow(
            .scale, "scale", app: .always, operand: .copies, options: [.debug], "have N copies",
            """
            New copies run the code that is in the app's directory now; the others stay as
            they are. Later deploys have N copies, too.

              reuseport-exec scale web 8
            """),
        VerbRow(
            .restart, "restart", app: .always, options: [.copy, .atOnce, .debug], "start copy by copy anew",
            """
            The new copies run the code that is in the app's directory now. One more comes
            first: if it fails nothing has been stopped, and clients notice nothing. Copies
            of a supervisor, those at one Unix path, and with --at-once all are stopped
            first. Environment and options stay as they were; to change them, migrate.
            """),
        VerbRow(
            .suspend, "suspend", app: .always, options: [.inPlace, .debug], "have the copies stand still",
            """
            Clients wait until resume. Copies of the code that is in the app's directory now
            are started, and stand still before they accept; the old ones end. With
            --in-place the running copies stop where they are.

              reuseport-exec suspend web && ./migrate-database && reuseport-exec resume web
            """),
        VerbRow(
            .resume, "resume", app: .always, "have them go on",
            """
            Clients that have waited are served. A deploy ends a suspension, too.
            """),
        VerbRow(
            .enable, "enable", app: .always, options: [.stateDirectory], "have boot deploy it, as it is deployed now",
            """
            Command, options and environment are kept in /var/lib/reuseport-exec, and
            renewed by each deploy. A boot calls reuseport-exec boot, once you have said
            systemctl enable reuseport-exec-boot; the manual says how runit and s6 do.
            """),
        VerbRow(
            .disable, "disable", app: .always, options: [.stateDirectory], "not any more",
            """
            What runs is left alone.
            """),
        VerbRow(
            .boot, "boot", app: .never, options: [.stateDirectory], "deploy what is enabled and does not run",
            """
            For the unit reuseport-exec-boot.service, or by hand after a boot. What runs is
            left alone.
            """),
        VerbRow(.retire, "retire", app: .always, "tell the live generation to stop"),
        VerbRow(
            .terminate, "terminate", app: .always, options: [.retired], "end all generations, or the retired ones",
            """
            Each copy gets its stop signal, and 5 seconds. With --retired, those that still
            finish are killed, and the live generation serves on. What is enabled starts
            again at the next boot.
            """),
        VerbRow(
            .forget, "forget", app: .always, "remove what is left of an app that has ended",
            """
            Its history, its folders of logs with --on, its services, and what boot would
            deploy. End it first: terminate APP.
            """),
        VerbRow(
            .wait, "wait", app: .always, options: [.pid, .generation, .timeout],
            "until it has taken over (0) or has failed (1)",
            """
            For a script that has started a generation by a supervisor:
              sv start web-green && reuseport-exec wait web --generation green
            """),
        VerbRow(
            .check, "check", app: .always, options: [.generation], "0 if it is live, 1 if not",
            """
            runit's ./check of the service web-green:
              exec reuseport-exec check web --generation green
            """),
        VerbRow(
            .next, "next", app: .always, required: .of, "the label after the live one's",
            """
            For two services that take turns:
              sv start web-$(reuseport-exec next web --of blue,green)
            """),
        VerbRow(
            .count, "count", app: .optional, options: [.json], "how many copies serve",
            """
            A number: of the copies that listen and run.
            """),
        VerbRow(
            .export, "export", app: .always, "how it is deployed, as a configuration file",
            """
            To keep it in a file, and to deploy from that:
              reuseport-exec export web > web.conf
              reuseport-exec deploy --config web.conf
            """),
        VerbRow(
            .finish, "finish", app: .always, operand: .ending, required: .generation,
            options: [.copy, .permanent, .onExit], "a finish script's: records, waits, stays down",
            """
            runit's ./finish of the service web-green:
              exec reuseport-exec finish web --generation green -- "$@"
            """),
    ]
}
