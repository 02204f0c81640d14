import Foundation

@testable import ReusePortKit

/// Writes the part of a completion file that follows from the tables of options and verbs.
enum CompletionTable: String, CaseIterable, Sendable {
    case bash = "completions/reuseport-exec.bash"
    case zsh = "completions/_reuseport-exec"
    case fish = "completions/reuseport-exec.fish"

    static let first = "# >>> from the tables of options and verbs: `make completions` writes this part\n"
    static let last = "# <<<\n"

    var part: String {
        switch self {
        case .bash: bashPart()
        case .zsh: zshPart()
        case .fish: fishPart()
        }
    }

    /// A completion file with the part as it follows from the tables; nil if it has no place for it.
    func completed(_ file: String) -> String? {
        guard let start = file.range(of: Self.first),
            let end = file.range(of: Self.last, range: start.upperBound..<file.endIndex)
        else { return nil }
        return file[..<start.upperBound] + part + file[end.lowerBound...]
    }
}

// MARK: - The tables as text

/// Options of command lines that run a command.
private var lineOptions: [Option] { Option.all.filter { !$0.places.isEmpty } }
private var verbRows: [VerbRow] { VerbRow.all.filter { $0.verb != .deploy } }
private var verbNames: [String] { VerbRow.all.flatMap { $0.names }.map(\.text) }
private var deployNames: [String] { Verb.deploy.names.map(\.text) }
/// What --help takes: a verb may share its name with a topic.
private var topicNames: [String] {
    let topics = Option.Topic.allCases.map(\.name.text)
    return topics + verbNames.filter { !topics.contains($0) }
}

extension Option {
    fileprivate var long: String { text.text }
    fileprivate var bare: String { String(long.dropFirst(2)) }
    fileprivate var spellings: [String] {
        [long] + (alias.map { [ByteString(stringLiteral: $0).text] } ?? [])
    }
    /// Of `--help` the value may be left out.
    fileprivate var needsValue: Bool { value != nil && key != .help }
    fileprivate var letter: String? { spellings.last { !$0.hasPrefix("--") } }

    fileprivate func description(behindVerb: Bool) -> String {
        let text = ByteString(stringLiteral: behindVerb ? verbSummary ?? summary : summary).text
        let isForDeploy = !behindVerb && places.isDisjoint(with: [.alone, .app])
        return isForDeploy ? "deploy: \(text)" : text
    }
}

extension VerbRow {
    /// Its options, in the order of the table.
    fileprivate var allOptions: [Option] { Option.all.filter(takes) }
}

extension Option.Completion {
    /// What the functions of completion files call it; for `words`, the words follow.
    fileprivate var kind: String {
        switch self {
        case .nothing: ""
        case .words(let words): "words \(ByteString(stringLiteral: words).text)"
        case .files: "files"
        case .directories: "directories"
        case .users: "users"
        case .groups: "groups"
        case .variables: "variables"
        case .assignments: "assignments"
        case .sockets: "sockets"
        case .filesToOpen: "files_to_open"
        case .dialects: "dialects"
        case .apps: "apps"
        case .labels: "labels"
        case .processes: "processes"
        case .times: "times"
        case .readiness: "readiness"
        case .supervisors: "supervisors"
        case .logs: "logs"
        case .copies: "copies"
        case .numbers: "numbers"
        case .topics: "topics"
        }
    }
}

/// Words in lines of at most 120 columns, each but the last with a backslash behind it.
private func wrapped(
    _ start: String, _ words: [String], end: String = "", indent: String, width: Int = 120, backslash: Bool
) -> String {
    var lines: [String] = []
    var line = start
    for word in words {
        let isFirst = line == start || line == indent
        if !isFirst, line.count + 1 + word.count + (backslash ? 2 : end.count) > width {
            lines.append(line + (backslash ? " \\" : ""))
            line = indent + word
        } else {
            line += (isFirst ? "" : " ") + word
        }
    }
    return (lines + [line + end]).joined(separator: "\n") + "\n"
}

private func capitalized(_ text: String) -> String {
    text.hasPrefix("deploy:") ? text : text.prefix(1).uppercased() + text.dropFirst()
}

/// As shells take it: in the quotes that are not in it.
private func quoted(_ text: String) -> String { text.contains("'") ? "\"\(text)\"" : "'\(text)'" }

// MARK: - bash

private func bashPart() -> String {
    func list(_ name: String, _ words: [String]) -> String {
        // A blank on both sides of each word: they are looked for with theirs.
        let lines = wrapped("", words, indent: "", width: 100, backslash: false).split(separator: "\n")
        return lines.enumerated().map { "    \(name)\($0 == 0 ? "='" : "+=' ")\($1)'\n" }.joined()
    }
    var text = """
        # Sets `verbs`, `options`, `not_for_deploy`, `repeatable`, `valued`, `dialects` and `topics` of the caller.
        # shellcheck disable=SC2034
        _reuseport_exec_tables() {

        """
    text += list("verbs", verbNames)
    text += list("options", lineOptions.map(\.long))
    text += list("not_for_deploy", lineOptions.filter { !$0.places.contains(.deploy) }.map(\.long))
    text += list("repeatable", lineOptions.filter(\.isRepeatable).flatMap(\.spellings))
    text += list("valued", Option.all.filter(\.needsValue).flatMap(\.spellings))
    text += list("dialects", Dialect.allCases.map(\.name.text))
    text += list("topics", topicNames)
    text += """
        }

        # _reuseport_exec_kind OPTION: sets `kind` of the caller to what its value is.
        _reuseport_exec_kind() {
            case $1 in

        """
    for option in Option.all where !option.completion.kind.isEmpty {
        text += "        \(option.spellings.joined(separator: " | "))) kind='\(option.completion.kind)' ;;\n"
    }
    text += """
            esac
        }

        # _reuseport_exec_verb_options VERB: sets `options` of the caller.
        _reuseport_exec_verb_options() {
            case $1 in

        """
    for row in verbRows {
        let names = row.names.map(\.text).joined(separator: " | ")
        text += "        \(names)) options='\(row.allOptions.map(\.long).joined(separator: " "))' ;;\n"
    }
    return text + "    esac\n}\n"
}

// MARK: - zsh

private func zshPart() -> String {
    var text = """
        # Sets the arrays `options`, `verbs`, `dialects` and `topics` of the caller; `copies` is what --copies takes.
        _reuseport_exec_tables() {
            options=(

        """
    for option in lineOptions { text += "        \(zshSpecification(option, behindVerb: false))\n" }
    text += "    )\n    verbs=(\n"
    for row in VerbRow.all {
        for name in row.names {
            text += "        \(quoted("\(name.text):\(ByteString(stringLiteral: row.summary).text)"))\n"
        }
    }
    text += "    )\n"
    text += wrapped("    topics=(", topicNames, end: ")", indent: "        ", backslash: false)
    text += "    dialects=(\n"
    for dialect in Dialect.allCases {
        // A colon ends a description.
        let summary = dialect.summary.text.replacingOccurrences(of: ":", with: "\\:")
        text += "        \(quoted("\(dialect.name.text)[\(summary)]"))\n"
    }
    text += "    )\n"
    text += """
        }

        # _reuseport_exec_verb_options VERB: sets the array `options` of the caller.
        _reuseport_exec_verb_options() {
            case $1 in

        """
    for row in verbRows {
        text += "        \(row.names.map(\.text).joined(separator: "|")))\n            options=(\n"
        for option in row.allOptions {
            text += "                \(zshSpecification(option, behindVerb: true, row))\n"
        }
        text += "            ) ;;\n"
    }
    return text + "    esac\n}\n"
}

private func zshSpecification(_ option: Option, behindVerb: Bool, _ row: VerbRow? = nil) -> String {
    let description = "[\(option.description(behindVerb: behindVerb))]"
    if option.key == .help || option.key == .version {
        let action = option.key == .help ? ":topic:_reuseport_exec_topics" : ""
        return "'(- : *)'{\(option.spellings.reversed().joined(separator: ","))}\(quoted(description + action))"
    }
    var text = ""
    if let rival = option.rival.map(Option.of), row?.takes(rival) ?? !rival.places.isEmpty { text += "(\(rival.long))" }
    if option.isRepeatable { text += "*" }
    text += option.long + (option.value == nil ? "" : "=") + description
    if let value = option.value {
        let placeholder = ByteString(stringLiteral: value).text.prefix { $0.isLetter }.lowercased()
        let what = placeholder == "n" || placeholder == "i" ? "number" : placeholder
        switch option.completion {
        case .nothing: text += ":\(what)"
        // Double quotes, for the caller's variable.
        case .copies: return "\"\(text):$copies\""
        case .words(let words): text += ":\(what):(\(ByteString(stringLiteral: words).text))"
        case .files: text += ":\(what):_files"
        case .directories: text += ":directory:_directories"
        case .variables: text += ":variable:_parameters -g \"*export*\""
        case .processes: text += ":\(what):_pids"
        default: text += ":\(what):_reuseport_exec_\(option.completion.kind)"
        }
    }
    return quoted(text)
}

// MARK: - fish

private func fishPart() -> String {
    var text = "# The options that take a value.\n"
    func list(_ name: String, _ words: [String]) -> String {
        wrapped("set -g \(name) ", words, indent: "    ", backslash: true)
    }
    text += list("__reuseport_exec_valued", Option.all.filter(\.needsValue).flatMap(\.spellings))
    text += "# Verbs, but for those that take the options of a command line.\n"
    text += list("__reuseport_exec_verbs", verbRows.flatMap { $0.names }.map(\.text) + ["help", "version"])
    text += list("__reuseport_exec_deploy", deployNames)
    text += list(
        "__reuseport_exec_without_app",
        verbRows.filter { $0.app == .never }.flatMap { $0.names }.map(\.text) + ["help", "version"])
    text += list("__reuseport_exec_names", lineOptions.map(\.long))
    text += "set -g __reuseport_exec_dialects"
    for dialect in Dialect.allCases {
        text += " \\\n    \(dialect.name.text)\\t\(quoted(dialect.summary.text))"
    }
    text += "\n"
    text += list("__reuseport_exec_topics", topicNames)
    text += "\n"
    for row in VerbRow.all {
        let names = row.names.map(\.text).joined(separator: " ")
        let summary = quoted(capitalized(ByteString(stringLiteral: row.summary).text))
        text += fishLine("__reuseport_exec_expects_verb", "-x -a \(quoted(names)) -d \(summary)")
    }
    for option in Option.all {
        let takers = verbRows.filter { $0.takes(option) }
        if takers.isEmpty { continue }
        let names = takers.flatMap { $0.names }.map(\.text)
        let condition =
            takers.count == verbRows.count
            ? "__reuseport_exec_verb" : "'__reuseport_exec_verb \(names.joined(separator: " "))'"
        text += fishLine(condition, fishOption(option, behindVerb: true))
    }
    for option in lineOptions { text += fishLine("__reuseport_exec_options", fishOption(option, behindVerb: false)) }
    return text
}

private func fishOption(_ option: Option, behindVerb: Bool) -> String {
    var text = "-l \(option.bare)"
    if let letter = option.letter { text = "-s \(letter.dropFirst()) \(text)" }
    if option.needsValue {
        switch option.completion {
        case .nothing: text += " -x"
        case .words(let words): text += " -x -a '\(ByteString(stringLiteral: words).text)'"
        case .files: text += " -r -F"
        case .logs: text += " -r -F -a 'syslog -'"
        case .directories: text += " -x -a '(__fish_complete_directories)'"
        case .processes: text += " -x -a '(__fish_complete_pids)'"
        case .variables: text += " -x -a '(set -nx)'"
        case .assignments: text += " -x -a '(set -nx)='"
        default: text += " -x -a '(__reuseport_exec_\(option.completion.kind))'"
        }
    }
    return "\(text) -d \(quoted(capitalized(option.description(behindVerb: behindVerb))))"
}

private func fishLine(_ condition: String, _ rest: String) -> String {
    let line = "complete -c reuseport-exec -n \(condition) \(rest)"
    guard line.count > 120, let cut = line.range(of: " -d ", options: .backwards) else { return line + "\n" }
    return "\(line[..<cut.lowerBound]) \\\n   \(line[cut.lowerBound...])\n"
}
