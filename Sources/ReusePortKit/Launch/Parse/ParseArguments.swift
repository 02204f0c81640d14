/// What a command line asks for. Indirect, for a verb's are many words, which nobody is to copy inline.
indirect enum Invocation {
    case help(Option.Topic?)
    case version
    case exec(Options)
    case verb(VerbRequest)
    case deploy(DeployRequest)
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
    /// What is asked for instead: help or the version.
    var early: Invocation?
}

/// `isDeploy`: the first word that is not an option is the app's name, unless that is known already.
private func readCommandLine(_ arguments: [ByteString], isDeploy: Bool) throws(Failure) -> CommandLine {
    var line = CommandLine()
    var index = 0
    while index < arguments.count {
        let word = arguments[index]
        if word == "--" {
            index += 1
            break
        }
        guard word.count > 1, word.bytes[0] == UInt8(ascii: "-") else {
            let isNamed = line.settings.contains { $0.option.key == .app || $0.option.key == .config }
            guard isDeploy, !isNamed else { break }
            try line.add(Setting(option: .of(.app), value: word, origin: .commandLine))
            index += 1
            continue
        }
        index += 1
        let (option, attached) = try recognise(word)
        if option.key == .help {
            line.early = .help(try topic(attached ?? (index < arguments.count ? arguments[index] : nil)))
            return line
        }
        if option.key == .version {
            line.early = .version
            return line
        }
        let value: ByteString
        if option.value == nil {
            if attached != nil { throw .usage("parse", word, "this option takes no value") }
            value = ""
        } else if let attached {
            value = attached
        } else {
            guard index < arguments.count else {
                throw .usage(
                    "parse", word, "the value is missing",
                    remedy: "write \(word) \(ByteString(stringLiteral: option.value!))")
            }
            value = arguments[index]
            index += 1
        }
        try line.add(Setting(option: option, value: value, origin: .commandLine))
    }
    line.command = Array(arguments[index...])
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

/// Splits `--option=value` and finds the option.
private func recognise(_ word: ByteString) throws(Failure) -> (Option, ByteString?) {
    if word == "-h" { return (.of(.help), nil) }
    if word == "-V" { return (.of(.version), nil) }
    if let option = Option.named(word) { return (option, nil) }
    if let (name, value) = word.cut(at: UInt8(ascii: "=")), let option = Option.named(name) { return (option, value) }
    let name = word.cut(at: UInt8(ascii: "="))?.head ?? word
    throw .usage(
        "parse", "option \(name)", "there is no such option",
        remedy: suggestion(for: name) ?? "see reuseport-exec --help")
}

/// The help page that is asked for; a word that names none is left to be whatever it is.
private func topic(_ word: ByteString?) throws(Failure) -> Option.Topic? {
    guard let word, word.bytes.first != UInt8(ascii: "-") else { return nil }
    if let topic = Option.Topic.allCases.first(where: { $0.name == word }) { return topic }
    throw .usage(
        "show", "help on \(word)", "there is no such topic",
        remedy: "the topics are \(joined(Option.Topic.allCases.map { $0.name }, by: ", "))")
}

/// `did you mean --socket?`, if an option is near enough to what was written.
private func suggestion(for word: ByteString) -> ByteString? {
    guard let nearest = nearest(to: word, among: Option.all.map { ByteString(stringLiteral: $0.name) }) else {
        return nil
    }
    return "did you mean \(nearest)?"
}
