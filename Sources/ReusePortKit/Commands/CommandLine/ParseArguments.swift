/// A command line, parsed. Indirect, because a verb's request is large, and would be copied inline.
indirect enum Invocation {
    /// The page of a topic, of a verb, or of both if they share the name; the overview without them.
    case help(Option.Topic?, Verb?)
    case version
    case exec(Options)
    case verb(VerbRequest)
    case deploy(DeployRequest)
}

/// `deploy`, `start` or `migrate` as it was written; the last deploy may supply what was left out.
struct DeployRequest {
    var settings: [Setting]
    var command: [ByteString]
    /// Whether it changes what the running generation was deployed with, as `migrate` does, and is not complete.
    var isMigration = true
    /// For `rollback`: the deployment that is repeated, in its own directory.
    var base: Deployment?

    func isGiven(_ key: Option.Key) -> Bool { settings.contains { $0.option.key == key } }
}

/// Reads the command line, without the program's own name, and the configuration file that it names.
///
/// Parsing stops at the first word that is not an option; what follows is the target's and is not looked at.
func parseArguments(_ arguments: [ByteString]) throws(Failure) -> Invocation {
    if let word = arguments.first, let verb = Verb.named(word) {
        let rest = Array(arguments.dropFirst())
        guard verb == .deploy else {
            for word in rest {
                if word == "--" { break }
                if word == "--help" || word == "-h" { return try page(verb.name) }
            }
            return .verb(try parseVerb(verb, rest))
        }
        let line = try readCommandLine(rest, isDeploy: true)
        return line.early
            ?? .deploy(
                DeployRequest(settings: line.settings, command: line.command, isMigration: word == "migrate"))
    }
    // A path is a program's. Any other word may become a verb, and one that is mistyped must not run as root.
    if let word = arguments.first, !word.isEmpty, word.bytes[0] != UInt8(ascii: "-"), !word.contains(UInt8(ascii: "/"))
    {
        if word == "help" { return try page(arguments.count > 1 ? arguments[1] : nil) }
        if word == "version" { return .version }
        if arguments.count > 1, Verb.named(arguments[1]) != nil {
            throw .usage(
                "run", word, "reuseport-exec has no such verb",
                remedy: "the verb comes first: reuseport-exec \(arguments[1]) \(word)")
        }
        let verb: ByteString = Verb.meant(by: word).map { "did you mean \($0)? To" } ?? "see reuseport-exec --help; to"
        throw .usage(
            "run", word, "reuseport-exec has no such verb",
            remedy: "\(verb) run a program, write reuseport-exec -- \(word)")
    }
    let line = try readCommandLine(arguments, isDeploy: false)
    if let early = line.early { return early }
    return .exec(try Options(line.settings, command: line.command))
}

/// A command line taken apart.
private struct CommandLine {
    var settings: [Setting] = []
    var command: [ByteString] = []
    /// Help or the version, if the line asks for that instead.
    var early: Invocation?
}

/// `isDeploy`: the first word that is not an option is the app's name, unless that is known already.
private func readCommandLine(_ arguments: [ByteString], isDeploy: Bool) throws(Failure) -> CommandLine {
    var line = CommandLine()
    var words = Words(arguments)
    var isMarked = false
    while let word = words.next {
        if word == "--" {
            words.index += 1
            isMarked = true
            break
        }
        guard word.count > 1, word.bytes[0] == UInt8(ascii: "-") else {
            let isNamed = line.settings.contains { $0.option.key == .app || $0.option.key == .config }
            guard isDeploy, !isNamed else { break }
            try line.add(Setting(.app, word))
            words.index += 1
            continue
        }
        words.index += 1
        let written = split(word)
        guard let option = Option.named(written.name), !option.places.isEmpty else {
            let known = Option.all.filter { isDeploy ? $0.places.contains(.deploy) : !$0.places.isEmpty }.map {
                $0.text
            }
            throw .usage(
                "parse", written.name, "unknown option",
                remedy: meant(by: written.name, among: known, else: "see reuseport-exec --help"))
        }
        if option.key == .help {
            var topic = written.value ?? words.next
            if topic?.bytes.first == UInt8(ascii: "-") { topic = nil }
            line.early = try page(topic ?? (isDeploy ? Verb.deploy.name : nil))
            return line
        }
        if option.key == .version {
            line.early = .version
            return line
        }
        try line.add(try words.setting(option, written))
    }
    line.command = words.rest
    if !isMarked { try line.checkOrder(isDeploy: isDeploy) }
    return line
}

extension CommandLine {
    fileprivate mutating func add(_ setting: Setting) throws(Failure) {
        if !setting.option.isRepeatable, settings.contains(where: { $0.option.key == setting.option.key }) {
            throw setting.failure(Malformed("this option was given before, and takes one value"))
        }
        settings.append(setting)
    }

    /// Refuses a socket among the command's arguments if there is none before it, and options of deploy that few other
    /// commands have. Others may be the command's own, and so may these behind `--`.
    fileprivate func checkOrder(isDeploy: Bool) throws(Failure) {
        for word in command where isDeploy {
            let name = split(word).name
            let isOurs = ["--copies", "--pass", "--ready", "--ready-timeout", "--stop-signal"].contains(name)
            if isOurs { throw misplaced(name) }
        }
        if settings.contains(where: { $0.option.key == .socket || $0.option.key == .config }) { return }
        if !isDeploy, let word = command.first, !settings.isEmpty, Verb.named(word) != nil {
            throw .usage(
                "parse", word, "it stands behind options",
                remedy: "the verb comes first, as in reuseport-exec \(word); to run a program, write -- before it")
        }
        for (index, word) in command.enumerated() {
            let (_, name, value) = split(word)
            guard name == "--socket", let value = value ?? (index + 1 < command.count ? command[index + 1] : nil),
                (try? parseSocket(value)) != nil
            else { continue }
            throw misplaced("--socket \(value)")
        }
    }

    private func misplaced(_ option: ByteString) -> Failure {
        .usage(
            "parse", option, "it stands behind \(command[0]), as its argument",
            remedy: "move it before \(command[0]), or write -- there if it is meant so")
    }
}

/// Finds the help page that is asked for; the overview if none is.
private func page(_ word: ByteString?) throws(Failure) -> Invocation {
    guard let word else { return .help(nil, nil) }
    let verb = Verb.named(word)
    if verb == .deploy { return .help(.deploy, nil) }
    let topic = Option.Topic.allCases.first { $0.name == word }
    if topic != nil || verb != nil { return .help(topic, verb) }
    if let option = Option.named(word) ?? Option.named("--\(word)") { return .help(option.topic, nil) }
    throw .usage(
        "show", "help on \(word)", "unknown topic",
        remedy: Verb.meant(by: word).map { "did you mean help \($0)?" }
            ?? suggestion(for: word, among: Option.Topic.allCases.map { $0.name }))
}

/// Suggests an option, or more, in place of one that is not known.
func meant(by option: ByteString, among known: [ByteString], else other: ByteString) -> ByteString {
    if option == "--port" || option == "--listen" || option == "--bind" { return "write --socket http:0.0.0.0:PORT" }
    if let ours = synonym(of: option, in: synonyms), known.contains(ours) { return "did you mean \(ours)?" }
    return suggestion(for: option, among: known, else: other)
}

/// Lists options of other tools, and ours that mean the same.
private let synonyms: [ByteString] = [
    "--cwd --directory --dir --workdir --working-directory>--chdir", "--uid>--user", "--gid>--group",
    "--workers --instances --replicas --processes -i>--copies", "--tail>--lines", "--name>--app", "-u>--user",
    "-e>--env",
]

/// Finds a word in a table of rows `WORD WORD…>MEANING`.
@inline(never)
func synonym(of word: ByteString, in table: [ByteString]) -> ByteString? {
    for row in table {
        if let (words, meaning) = row.cut(at: UInt8(ascii: ">")), words.split(on: UInt8(ascii: " ")).contains(word) {
            return meaning
        }
    }
    return nil
}

// MARK: - Words

/// An option as it is written: `--option` or `--option=value`.
typealias WrittenOption = (word: ByteString, name: ByteString, value: ByteString?)

func split(_ word: ByteString) -> WrittenOption {
    guard let (name, value) = word.cut(at: UInt8(ascii: "=")) else { return (word, word, nil) }
    return (word, name, value)
}

/// The words of a command line, read one after the other.
struct Words {
    private let words: [ByteString]
    var index = 0

    init(_ words: [ByteString]) { self.words = words }

    /// The word that comes next.
    var next: ByteString? { index < words.count ? words[index] : nil }
    var rest: [ByteString] { Array(words[index...]) }

    /// An option that stands before `index`, with its value, which may be the next word.
    @inline(never)
    mutating func setting(_ option: Option, _ written: WrittenOption) throws(Failure) -> Setting {
        var value: ByteString = ""
        if let placeholder = option.value {
            guard let found = written.value ?? next, written.value != nil || found != "--" else {
                throw .usage(
                    "parse", written.word, "the value is missing",
                    remedy: "write \(written.word) \(ByteString(stringLiteral: placeholder))")
            }
            value = found
            if written.value == nil { index += 1 }
        } else if written.value != nil {
            throw .usage("parse", written.word, "this option takes no value")
        }
        return Setting(option: option, value: value, origin: .commandLine)
    }
}
