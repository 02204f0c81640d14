/// A command line, parsed. Indirect, because a verb's request is large, and would be copied inline.
indirect enum Invocation {
    case help(Option.Topic?)
    case version
    case exec(Options)
    case verb(VerbRequest)
    case deploy(DeployRequest)
}

/// `deploy`, `start` or `migrate` as it was written; the last deploy may supply what was left out.
struct DeployRequest: Sendable {
    var settings: [Setting]
    var command: [ByteString]

    func isGiven(_ key: Option.Key) -> Bool { settings.contains { $0.option.key == key } }
}

/// Reads the command line, without the program's own name, and the configuration file that it names.
///
/// Parsing stops at the first word that is not an option; what follows is the target's and is not looked at.
func parseArguments(_ arguments: [ByteString]) throws(Failure) -> Invocation {
    if let word = arguments.first, let verb = Verb.named(word) {
        let rest = Array(arguments.dropFirst())
        guard verb == .deploy else { return .verb(try parseVerb(verb, rest)) }
        let line = try readCommandLine(rest, isDeploy: true)
        return line.early ?? .deploy(DeployRequest(settings: line.settings, command: line.command))
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
    while let word = words.next {
        if word == "--" {
            words.index += 1
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
            let known = Option.all.filter { !$0.places.isEmpty }.map { $0.text }
            throw .usage(
                "parse", written.name, "unknown option",
                remedy: nearest(to: written.name, among: known).map { "did you mean \($0)?" }
                    ?? "see reuseport-exec --help")
        }
        if option.key == .help {
            line.early = .help(try topic(written.value ?? words.next))
            return line
        }
        if option.key == .version {
            line.early = .version
            return line
        }
        try line.add(try words.setting(option, written))
    }
    line.command = words.rest
    return line
}

extension CommandLine {
    fileprivate mutating func add(_ setting: Setting) throws(Failure) {
        if !setting.option.isRepeatable, settings.contains(where: { $0.option.key == setting.option.key }) {
            throw setting.failure(Malformed("this option was given before, and takes one value"))
        }
        settings.append(setting)
    }
}

/// Finds the help page that is asked for; nil for the overview.
private func topic(_ word: ByteString?) throws(Failure) -> Option.Topic? {
    guard let word, word.bytes.first != UInt8(ascii: "-") else { return nil }
    if let topic = Option.Topic.allCases.first(where: { $0.name == word }) { return topic }
    throw .usage(
        "show", "help on \(word)", "unknown topic",
        remedy: suggestion(for: word, among: Option.Topic.allCases.map { $0.name }))
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
    mutating func setting(_ option: Option, _ written: WrittenOption) throws(Failure) -> Setting {
        var value: ByteString = ""
        if let placeholder = option.value {
            guard let found = written.value ?? next else {
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
