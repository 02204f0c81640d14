/// A command other than running a target.
enum Verb: UInt8, Sendable {
    case list, count, state, wait, check, next, deploy, scale, restart, suspend, resume, retire, terminate, finish
    case enable, disable, boot, export, logs, history, forget

    /// Finds a verb by one of its names.
    static func named(_ word: ByteString) -> Verb? { VerbRow.all.first { $0.names.contains(word) }?.verb }

    /// Suggests a verb for a word that is none: a word of other tools, or a mistyped verb.
    static func meant(by word: ByteString) -> ByteString? {
        for synonym in synonyms {
            if let (words, verb) = synonym.cut(at: UInt8(ascii: ">")), words.split(on: UInt8(ascii: " ")).contains(word)
            {
                return verb
            }
        }
        return word.count > 2 ? nearest(to: word, among: VerbRow.all.flatMap { $0.names }) : nil
    }

    /// Words of other tools, and what they lead to.
    private static let synonyms: [ByteString] = [
        "stop kill down rm remove delete>terminate", "status show info>state", "ps>list",
        "reload upgrade update>migrate", "run up launch>deploy", "log tail journal>logs", "purge clean>forget",
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
        options: [Option.Key] = [], _ summary: StaticString
    ) {
        self.verb = verb
        self.words = words
        self.app = app
        self.operand = operand
        self.required = required
        self.options = options
        self.summary = summary
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
            .list, "list ls", app: .optional, options: [.json, .all, .wide, .watch],
            "a line for each app, or its generations"),
        VerbRow(.state, "state st", app: .optional, options: [.json, .watch], "everything that is known"),
        VerbRow(
            .logs, "logs", app: .always, options: [.follow, .lines, .generation, .copy], "what the copies have written"),
        VerbRow(.history, "history", app: .always, options: [.json], "who has changed it, when, with what result"),
        VerbRow(.scale, "scale", app: .always, operand: .copies, options: [.debug], "have N copies"),
        VerbRow(.restart, "restart", app: .always, options: [.copy, .atOnce, .debug], "start copy by copy anew"),
        VerbRow(.suspend, "suspend", app: .always, options: [.inPlace, .debug], "have the copies stand still"),
        VerbRow(.resume, "resume", app: .always, "have them go on"),
        VerbRow(
            .enable, "enable", app: .always, options: [.stateDirectory], "have boot deploy it, as it is deployed now"),
        VerbRow(.disable, "disable", app: .always, options: [.stateDirectory], "not any more"),
        VerbRow(.boot, "boot", app: .never, options: [.stateDirectory], "deploy what is enabled and does not run"),
        VerbRow(.retire, "retire", app: .always, "tell the live generation to stop"),
        VerbRow(
            .terminate, "terminate", app: .always, options: [.retired], "end all generations, or the retired ones"),
        VerbRow(.forget, "forget", app: .always, "remove what is left of an app that has ended"),
        VerbRow(
            .wait, "wait", app: .always, options: [.pid, .generation, .timeout],
            "until it has taken over (0) or has failed (1)"),
        VerbRow(.check, "check", app: .always, options: [.generation], "0 if it is live, 1 if not"),
        VerbRow(.next, "next", app: .always, required: .of, "the label after the live one's"),
        VerbRow(.count, "count", app: .optional, options: [.json], "how many copies serve"),
        VerbRow(.export, "export", app: .always, "how it is deployed, as a configuration file"),
        VerbRow(
            .finish, "finish", app: .always, operand: .ending, required: .generation,
            options: [.copy, .permanent, .onExit], "a finish script's: records, waits, stays down"),
    ]
}
