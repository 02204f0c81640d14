/// A command other than running a target.
enum Verb: UInt8, Sendable {
    case list, count, state, wait, check, deploy, scale, restart, suspend, resume, retire, terminate, finish

    /// Finds a verb by one of its names.
    static func named(_ word: ByteString) -> Verb? { VerbRow.all.first { $0.names.contains(word) }?.verb }

    var row: VerbRow { VerbRow.all.first { $0.verb == self }! }
    /// Its name, then others that mean the same.
    var names: [ByteString] { row.names }
    var name: ByteString { names[0] }
}

/// A row of the table of verbs. Parser, help, suggestions, completion and the test of the manual read it.
struct VerbRow: Sendable {
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
    static let common: [Option.Key] = [.runDirectory, .config]

    func takes(_ option: Option) -> Bool {
        VerbRow.common.contains(option.key) || options.contains(option.key) || required == option.key
    }

    /// All rows, in the order in which help texts show them.
    static let all: [VerbRow] = [
        VerbRow(.list, "list ls", app: .never, options: [.json], "apps with their generations"),
        VerbRow(.count, "count", app: .optional, options: [.json], "how many copies serve"),
        VerbRow(.state, "state st", app: .optional, options: [.json], "everything that is known"),
        VerbRow(
            .wait, "wait", app: .always, options: [.pid, .generation, .timeout],
            "until it has taken over (0) or has failed (1)"),
        VerbRow(.check, "check", app: .always, options: [.generation], "0 if it is live, 1 if not"),
        VerbRow(.deploy, "deploy start migrate", app: .optional, "hand over to new copies; see --help deploy"),
        VerbRow(.scale, "scale", app: .always, operand: .copies, options: [.quiet, .debug], "have N copies"),
        VerbRow(.restart, "restart", app: .always, options: [.copy, .quiet, .debug], "stop, then start again"),
        VerbRow(.suspend, "suspend", app: .always, options: [.quiet, .debug], "have the copies stand still"),
        VerbRow(.resume, "resume", app: .always, "have them go on"),
        VerbRow(.retire, "retire", app: .always, "tell the live generation to stop"),
        VerbRow(
            .terminate, "terminate", app: .always, options: [.retired], "end all generations, or the retired ones"),
        VerbRow(
            .finish, "finish", app: .always, operand: .ending, required: .generation,
            options: [.copy, .permanent, .onExit], "a finish script's: records, waits, stays down"),
    ]
}
