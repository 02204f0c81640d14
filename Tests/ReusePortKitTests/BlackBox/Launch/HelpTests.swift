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

    @Test(arguments: [[]] + topics.map { [$0] }) func fitsAScreen(topic: [ByteString]) throws {
        let text = try help(["--help"] + topic)
        var lines = text.components(separatedBy: "\n")
        #expect(lines.popLast() == "")
        #expect(lines.count <= 24)
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
        #expect(try help(["--socket", "h:127.0.0.1:0", "--help"]) == text)
        #expect(try help(["--help=sockets"]) == (try help(["--help", "sockets"])))
        // Behind the command it is the command's.
        #expect(try help(["/usr/bin/printf", "%s", "--help"]) == "--help")
    }

    @Test func overviewNamesEveryOption() throws {
        let text = try help(["--help"])
        #expect(missing(Self.names + Self.topics.map(\.text), in: text) == [])
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
        for word in ["--version", "-V"] as [ByteString] {
            let text = try help([word])
            let form = #"^reuseport-exec [0-9]+\.[0-9]+\.[0-9]+[^ ]* \(.+\)\n$"#
            #expect(text.range(of: form, options: .regularExpression) != nil, "\(text)")
            #expect(text.hasPrefix("reuseport-exec \(version.text) ("), "\(text)")
        }
    }

    // MARK: Manual

    private func manual() throws -> String {
        try String(contentsOfFile: "\(Tool.package)/man/reuseport-exec.1", encoding: .utf8)
    }

    /// The manual as a reader sees it.
    private func shownManual() throws -> String {
        let mandoc = try Tool.require("mandoc")
        _ = try manual()
        let outcome = try Sandbox.plainRun([mandoc, "-Tutf8", "-Owidth=200", "\(Tool.package)/man/reuseport-exec.1"])
        // Bold is struck twice.
        return outcome.output.text.replacingOccurrences(of: #".\x08"#, with: "", options: .regularExpression)
            .replacingOccurrences(of: "\u{2010}", with: "-").replacingOccurrences(of: "\u{2212}", with: "-")
    }

    @Test func manualIsClean() throws {
        let mandoc = try Tool.require("mandoc")
        #expect(try manual().contains(".Dd "))
        let outcome = try Sandbox.plainRun([mandoc, "-Tlint", "-W", "warning", "\(Tool.package)/man/reuseport-exec.1"])
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
