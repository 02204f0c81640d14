import Foundation
import Testing

@testable import ReusePortKit

/// What the program says of itself, and that every place that lists the options lists them all.
@Suite struct HelpTests {
    static let topics = Option.Topic.allCases.map(\.name)
    static let dialects = Dialect.allCases.map { $0.name.text }
    /// Options of a command line that runs a command.
    static let names = Option.all.filter { !$0.places.isEmpty }.map { $0.text.text }
    let box = Sandbox()

    private func help(_ words: [ByteString]) throws -> String {
        let outcome = try box.run(words)
        #expect(outcome.exit == 0)
        #expect(outcome.errors == "")
        return outcome.output.text
    }

    @Test(
        arguments: [["--help"], ["retire", "-h"]] + (topics + VerbRow.all.map { $0.verb.name }).map { ["help", $0] })
    func fitsAScreen(words: [ByteString]) throws {
        let text = try help(words)
        var lines = text.components(separatedBy: "\n")
        #expect(lines.popLast() == "")
        #expect(lines.count < 24)
        #expect(lines.count >= 5)
        for line in lines {
            #expect(line.count <= 80, "\(line)")
            #expect(!line.hasSuffix(" "), "\(line)")
            #expect(line.utf8.allSatisfy { $0 >= 32 && $0 < 127 }, "\(line)")
        }
    }

    @Test func otherWays() throws {
        let text = try help(["--help"])
        #expect(try help(["-h"]) == text)
        #expect(try help(["help"]) == text)
        #expect(try help(["help", "wait"]) == (try help(["wait", "web", "--help"])))
        #expect(try help(["--help", "wait"]) == (try help(["wait", "-h"])))
        for words in [["help", "migrate"], ["deploy", "web", "--help"], ["start", "-h"]] as [[ByteString]] {
            #expect(try help(words) == (try help(["--help", "deploy"])))
        }
        #expect(try help(["--socket", "h:127.0.0.1:0", "--help"]) == text)
        #expect(try help(["--help=sockets"]) == (try help(["--help", "sockets"])))
        // Behind the command it is the command's.
        #expect(try help(["/usr/bin/printf", "%s", "--help"]) == "--help")
    }

    @Test func overviewNamesVerbsAndTopics() throws {
        let text = try help(["--help"])
        let verbs = VerbRow.all.flatMap(\.names) + ["Deploy", "Look", "Change", "End"]
        #expect(missing((verbs + Self.topics).map(\.text), in: text) == [])
    }

    /// Whoever writes nothing gets the same help, and the failure below it.
    @Test func withoutWords() throws {
        let outcome = try box.run([])
        #expect(outcome.exit == 100)
        #expect(outcome.output == "")
        let last = "reuseport-exec: fatal: unable to run: no command was given; usage: "
        #expect(outcome.errors.hasPrefix(try help(["--help"]) + last), "\(outcome.errors)")
    }

    /// The words that a text lacks; `--copy` is not found in `--copy-all`.
    private func missing(_ words: [String], in text: String) -> [String] {
        words.filter { word in
            let end = word.last?.isLetter == true ? "(?![A-Za-z0-9-])" : ""
            let pattern = NSRegularExpression.escapedPattern(for: word) + end
            return text.range(of: pattern, options: .regularExpression) == nil
        }
    }

    @Test func topicsNameTheirOptions() throws {
        for option in Option.all {
            let text = try help(["--help", option.topic.name])
            #expect(text.contains(option.text.text))
        }
        let dialects = try help(["--help", "dialects"])
        #expect(missing(Self.dialects, in: dialects) == [])
        let codes = try help(["--help", "codes"])
        #expect(missing(["0 ", "1 ", "100", "111", "126", "127"], in: codes) == [])
    }

    @Test func versionAndBuild() throws {
        for word in ["--version", "-V", "version"] as [ByteString] {
            let text = try help([word])
            let form = #"^reuseport-exec [0-9]+\.[0-9]+\.[0-9]+[^ ]* \(.+\)\n$"#
            #expect(text.range(of: form, options: .regularExpression) != nil, "\(text)")
            #expect(text.hasPrefix("reuseport-exec \(version.text) ("), "\(text)")
        }
    }

    // MARK: Manual

    /// The manual as a reader sees it.
    private func shownManual() throws -> String {
        let mandoc = try Tool.require("mandoc")
        let outcome = try Sandbox.plainRun(
            [mandoc, "-Tutf8", "-Owidth=200"] + manualPages.map { "\(Tool.package)/\($0)" })
        // Bold is struck twice.
        return outcome.output.text.replacingOccurrences(of: #".\x08"#, with: "", options: .regularExpression)
            .replacingOccurrences(of: "\u{2010}", with: "-").replacingOccurrences(of: "\u{2212}", with: "-")
    }

    @Test(arguments: manualPages) func manualIsClean(page: String) throws {
        let mandoc = try Tool.require("mandoc")
        #expect(try document(page).contains(".Dd "))
        let outcome = try Sandbox.plainRun([mandoc, "-Tlint", "-W", "warning", "\(Tool.package)/\(page)"])
        #expect(outcome.output.text == "")
        #expect(outcome.errors == "")
        #expect(outcome.exit == 0)
    }

    @Test func manualNamesEverything() throws {
        let text = try shownManual()
        #expect(missing(Self.names + Self.dialects + ["100", "111", "126", "127"], in: text) == [])
        let words = [
            "backlog=", "mode=", "owner=", "group=", "fd=", "freebind", "bind-dev=", "nodelay", "listen=no", "create",
            "excl", "trunc", "{fd:", "{addr:", "{port:", "{path:", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
            "NGINX",
            "SERVER_STARTER_PORT", "SERVER_STARTER_GENERATION", "EINHORN_FD_COUNT", "UNICORN_FD", "FPM_SOCKETS",
            "LACTOSERV_FDS", "LISTEN_ON", "NODE_CHANNEL_FD", "NODESOCKD_WORKER_ID", "NODESOCKD_SUSPENDED", "HOME",
            "LOGNAME",
            "SHELL", "PATH", "EXAMPLES", "EXIT STATUS", "ENVIRONMENT",
        ]
        #expect(missing(words, in: text) == [])
    }

    // MARK: Completions

    private func completion(_ name: String) throws -> String {
        let path = "\(Tool.package)/completions/\(name)"
        guard access(path, R_OK) == 0 else { throw Unavailable(description: "\(path) is missing") }
        return path
    }

    @Test(arguments: ["reuseport-exec.bash", "_reuseport-exec", "reuseport-exec.fish"])
    func completionNamesEverything(file: String) throws {
        let text = try String(contentsOfFile: completion(file), encoding: .utf8)
        // fish writes long options without their hyphens.
        let names = file.hasSuffix(".fish") ? Self.names.map { "-l \($0.dropFirst(2))" } : Self.names
        #expect(missing(names + Self.dialects + Self.topics.map(\.text), in: text) == [])
    }

    /// A shell with nothing of the user's.
    private func shell(_ program: String, _ arguments: [ByteString]) throws -> Outcome {
        let path = try Tool.require(program)
        let home = box.makeDirectory("home")
        return try box.start(
            program: path, arguments,
            environment: Sandbox.environment + ["HOME=\(home)", "TERM=dumb", "XDG_CONFIG_HOME=\(home)"]
        ).end()
    }

    private func bash(_ words: String) throws -> Set<String> {
        let script = """
            . "$1" || exit 9
            complete -p reuseport-exec > /dev/null || exit 8
            COMP_WORDS=(\(words)); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            COMP_LINE="${COMP_WORDS[*]}"; COMP_POINT=${#COMP_LINE}
            f=$(complete -p reuseport-exec | sed 's/.*-F \\([^ ]*\\).*/\\1/')
            "$f" reuseport-exec "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
            printf '%s\\n' "${COMPREPLY[@]}"
            """
        let outcome = try shell(
            "bash", ["--norc", "-c", ByteString(script), "bash", ByteString(try completion("reuseport-exec.bash"))])
        #expect(outcome.exit == 0)
        #expect(outcome.errors == "")
        return Set(outcome.output.text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) })
    }

    @Test func bashCompletes() throws {
        #expect(Set(Self.names).subtracting(try bash("reuseport-exec --")) == [])
        #expect(try bash("reuseport-exec --so") == ["--socket"])
        let dialects = try bash("reuseport-exec --pass ''")
        #expect(Set(Self.dialects).subtracting(dialects) == [])
        #expect(try bash("reuseport-exec --user roo").contains { $0.hasPrefix("root") })
    }

    /// What others have named is offered as it is, and quoted so that the shell takes it as it is.
    @Test func bashExpandsNothing() throws {
        let folder = box.makeDirectory("names")
        box.write("names/a$(id>q)b", "")
        box.write("names/it's", "")
        #expect(
            try bash("reuseport-exec --config '\(folder)/'") == ["\(folder)/a\\$\\(id\\>q\\)b", "\(folder)/it\\'s"])
        try Tool.requireRoot()
        let script = """
            mount -t sysfs none /sys; ip link set lo down; ip link set lo name '$(id>q)'; cd "$1"
            . "$2"; _reuseport_exec_socket 'x:127.0.0.1:80,bind-dev='; ls
            """
        let outcome = try box.start(
            program: try Tool.require("unshare"),
            [
                "--net", "--mount", "--propagation", "private", ByteString(try Tool.require("bash")), "-euc",
                ByteString(script), "bash", ByteString(box.makeDirectory("empty")),
                ByteString(try completion("reuseport-exec.bash")),
            ]
        ).end()
        #expect(outcome.output == "x:127.0.0.1:80,bind-dev=$(id>q)\n", "\(outcome.errors)")
    }

    /// What each shell shows at TAB, in a terminal: a command's name only where a command stands.
    @Test(arguments: ["bash", "zsh", "fish"]) func shellsCompleteInATerminal(shell: String) throws {
        let program = try Tool.require(shell)
        let folder = box.makeDirectory("home")
        box.write(
            "home/bashrc",
            "PS1='READY> '; bind 'set show-all-if-ambiguous on'\n. \"$COMPLETIONS/reuseport-exec.bash\"\n")
        box.write(
            "home/.zshrc", "PS1='READY> '; fpath=($COMPLETIONS $fpath); autoload -Uz compinit && compinit -D -u\n")
        let prompt = "function fish_prompt; echo -n 'READY> '; end; function fish_greeting; end"
        let words =
            switch shell {
            case "bash": ["--rcfile", "\(folder)/bashrc", "-i"]
            case "zsh": ["-i"]
            default: ["--no-config", "-i", "-C", "\(prompt); source $COMPLETIONS/reuseport-exec.fish"]
            }
        box.write("home/zzprogram", "#!/bin/sh\n", mode: 0o755)
        let registered = box.makeDirectory("run")
        for app in ["api", "web"] { _ = box.makeDirectory("run/\(app)") }
        box.write("run/api/app", "end=\n")
        box.write("run/web/app", "generation=1 blue x\ngeneration=2 green x\nend=\n")
        for copy in ["1-3", "2-0", "2-7"] { box.write("run/web/\(copy)", "end=\n") }
        // Each with a word to wait for, with those that must be shown, and with whether a program may be.
        // zsh writes what all options begin with, and lists them at the next TAB.
        let isZsh = shell == "zsh"
        let cases: [(line: String, last: String, shown: [String], program: Bool)] = [
            ("", isZsh ? "option" : "--version", VerbRow.all.flatMap(\.names).map(\.text) + ["help"], false),
            ("help ", "codes", ["sockets", "wait"], false),
            ("-- zz", "zzprogram", [], true),
            ("--umask 022 zz", "zzprogram", [], true),
            ("--umask 022 ", isZsh ? "022 --" : "--user", isZsh ? [] : ["--socket"], false),
            ("deploy --run-dir \(registered) ", "web", ["api"], false),
            ("deploy --run-dir \(registered) web ", isZsh ? "web --" : "--user", isZsh ? [] : ["--socket"], false),
            ("migrate --run-dir \(registered) web zz", "zzprogram", [], true),
            ("restart --run-dir \(registered) ", "web", ["api"], false),
            ("restart --run-dir \(registered) web --copy ", "7", ["0", "3"], false),
            ("check --run-dir \(registered) web --generation ", "green", ["blue"], false),
        ]
        let path = "PATH=\(folder):/usr/bin:/bin"
        let outcome = try box.start(
            program: try Tool.require("python3"),
            ([Tool.package + "/Tests/Fixtures/targets/press_tab.py"]
                + cases.flatMap { ["reuseport-exec \($0.line)", $0.last] } + ["--", program] + words)
                .map { ByteString($0) },
            environment: [
                ByteString(path), "LANG=C.UTF-8", "TERM=xterm", "HOME=\(folder)", "ZDOTDIR=\(folder)",
                "XDG_CONFIG_HOME=\(folder)", "COMPLETIONS=\(Tool.package)/completions",
            ]
        ).end()
        #expect(outcome.exit == 0, "\(outcome.errors)")
        let lines = outcome.output.text.split(separator: "\n").map { Set($0.split(separator: " ").map(String.init)) }
        try #require(lines.count == cases.count)
        for (one, words) in zip(cases, lines) {
            #expect(Set(one.shown).subtracting(words) == [], "\(one.line)")
            #expect(words.contains("zzprogram") == one.program, "\(one.line)")
        }
    }

    @Test func zshLoads() throws {
        let file = ByteString(try completion("_reuseport-exec"))
        let script = """
            fpath=("$1" $fpath); autoload -Uz compinit && compinit -D -u || exit 9
            [[ $_comps[reuseport-exec] == _reuseport-exec ]] || exit 8
            autoload +X -Uz _reuseport-exec || exit 7
            (( $+functions[_reuseport-exec] )) || exit 6
            """
        let outcome = try shell(
            "zsh", ["-f", "-c", ByteString(script), "zsh", ByteString("\(Tool.package)/completions")])
        #expect(outcome.errors == "")
        #expect(outcome.exit == 0)
        let syntax = try shell("zsh", ["-f", "-n", file])
        #expect(syntax.errors == "")
        #expect(syntax.exit == 0)
    }

    @Test func fishCompletes() throws {
        let script = "source $argv[1]; or exit 9; complete -C 'reuseport-exec --'; complete -C 'reuseport-exec --pass '"
        let outcome = try shell(
            "fish", ["--no-config", "-c", ByteString(script), ByteString(try completion("reuseport-exec.fish"))])
        #expect(outcome.errors == "")
        #expect(outcome.exit == 0)
        let offered = Set(outcome.output.text.split(separator: "\n").map { String($0.split(separator: "\t")[0]) })
        #expect(Set(Self.names + Self.dialects).subtracting(offered) == [])
    }
}
