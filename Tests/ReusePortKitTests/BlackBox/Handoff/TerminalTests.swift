import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// A terminal of 80 columns and 24 rows, which tmux plays, with a shell command in it.
final class TmuxTerminal {
    private let tmux: String
    private let stage: Stage
    private let name: String
    private let environment: [ByteString]

    init(_ stage: Stage, variables: [ByteString] = [], _ command: String) throws {
        tmux = try Tool.require("tmux")
        self.stage = stage
        name = "test\(stage.nextNumber())"
        // Its socket is in a folder that is named after its user, and not in one that many share. The user who has
        // no shell needs one here.
        environment =
            Sandbox.environment + ["TMUX_TMPDIR=\(stage.home)", "TERM=xterm-256color", "SHELL=/bin/sh"]
            + variables
        let outcome = try run([
            "-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24",
            "\(command); echo \"<$?>\"; exec sleep 1000",
        ])
        guard outcome.exit == 0 else { throw Unavailable(description: "tmux: \(outcome.errors)") }
    }

    deinit { _ = try? run(["kill-server"]) }

    private func run(_ words: [String]) throws -> Outcome {
        try stage.box.start(
            program: tmux, (["-L", name] + words).map { ByteString($0) }, environment: environment, stage.asDeployer
        ).end()
    }

    /// What has been shown so far, from the first line on, as lines of the screen, or as they were written.
    func shown(isColoured: Bool = false, isJoined: Bool = false) throws -> String {
        try run(
            ["capture-pane", "-p", "-S", "-"] + (isColoured ? ["-e"] : []) + (isJoined ? ["-J"] : [])
        ).output.text
    }

    /// Waits for the end of the command: its exit code.
    func end() throws -> Int? {
        var code: Int?
        try waitUntil("the end of the command") {
            code = try shown().firstMatch(of: #/\n<([0-9]+)>/#).flatMap { Int($0.1) }
            return code != nil
        }
        return code
    }

    /// That no line was longer than the screen is wide.
    func expectNoWrapping(_ location: SourceLocation = #_sourceLocation) throws {
        func lines(_ text: String) -> [String] {
            text.split(separator: "\n").map { String($0).replacing(#/ +$/#, with: "") }.filter { !$0.isEmpty }
        }
        #expect(try lines(shown()) == lines(shown(isJoined: true)), sourceLocation: location)
    }
}

/// How things look where people look at them.
@Suite struct TerminalTests {
    private let green = "\u{1B}[32m"
    private let red = "\u{1B}[31m"
    private let bold = "\u{1B}[1m"

    @Test(arguments: Level.allCases, [nil, "1"] as [ByteString?])
    func listAndState(level: Level, noColour: ByteString?) throws {
        let stage = try Stage(level)
        let old = try stage.handOver("blue", copies: 2)
        let client = try stage.slowRequest(milliseconds: 100_000)
        let new = try stage.handOver("green", copies: 2)
        let broken = try stage.start("a-version-that-does-not-start", variables: ["SAMPLE_CRASH=boot"])
        #expect(try stage.wait(["--pid", ByteString(decimal: broken.pid)]).exit == 1)
        try waitUntil("all but one of the old copies have gone") {
            try stage.verb("list", ["--all"]).output.text.contains(#/blue +retired +1/2/#)
        }
        let launcher = try stage.box.launcher()
        let terminal = try TmuxTerminal(
            stage, variables: noColour.map { ["NO_COLOR=\($0)"] } ?? [],
            "for verb in 'list --all' state; do \(launcher) $verb --run-dir \(stage.runDirectory.text); done")
        #expect(try terminal.end() == 0)
        let text = try terminal.shown()
        try terminal.expectNoWrapping()
        let coloured = try terminal.shown(isColoured: true)
        if noColour == nil {
            for word in ["\(green)live", "\(red)failed", "\(bold)generation blue", "\(green)2/2 copies serve"] {
                #expect(coloured.contains(word), "\(word): \(coloured)")
            }
        } else {
            #expect(!coloured.contains("\u{1B}"), "\(coloured)")
        }
        #expect(text.contains(#/web +green +live +2\/2/#), "\(text)")
        for copy in new {
            #expect(
                text.contains(#/copy [01] +pid [0-9]+ +live +up [0-9]+s +(slot [01]\/[01] +)?queue 0\/[0-9]+ +0 conn/#))
            #expect(text.contains("pid \(copy.pid) "), "\(text)")
        }
        #expect(text.contains(#/retired +up [0-9]+s +1 connection\n/#), "\(text)")
        #expect(text.contains("127.0.0.1:\(stage.port)"), "\(text)")
        // The same words go into a pipe, and nothing else.
        for words in [["list", "--all"], ["state"]] as [[ByteString]] {
            let piped = try stage.verb(words[0], Array(words[1...])).output.text
            #expect(!piped.contains("\u{1B}"), "\(piped)")
            for word in piped.split(separator: #/\s+/#) where !word.contains(#/^[0-9]+s$/#) {
                #expect(text.contains(word), "\(word)")
            }
        }
        client.kill()
        withExtendedLifetime((old, new)) {}
    }

    private func deploy(
        _ stage: Stage, _ label: String, _ options: String, command: String? = nil
    ) throws -> String {
        """
        \(try stage.box.launcher()) deploy web --run-dir \(stage.runDirectory.text) \
        --generation \(label) --log \(stage.home)/{copy}.log --socket \(stage.socket.text) \
        \(stage.level == .privileged ? "--user nobody" : "") \(options) \
        -- \(try command ?? "\(stage.program("sample-server").text) \(label)")
        """
    }

    @Test(arguments: Level.allCases, [nil, "1"] as [ByteString?])
    func deployed(level: Level, noColour: ByteString?) throws {
        let stage = try Stage(level)
        defer { _ = try? stage.verb("terminate", ["web"]) }
        let variables: [ByteString] = noColour.map { ["NO_COLOR=\($0)"] } ?? []
        let terminal = try TmuxTerminal(
            stage, variables: variables,
            [try deploy(stage, "blue", "--copies 2"), try deploy(stage, "green", "--copies 12")]
                .joined(separator: " && "))
        #expect(try terminal.end() == 0)
        let text = try terminal.shown()
        try terminal.expectNoWrapping()
        #expect(text.contains(#/\n +copy 0 +pid [0-9]+ +serves\n +copy 1 +pid [0-9]+ +serves\n/#), "\(text)")
        #expect(text.contains("12 of 12  12 serve\n"), "\(text)")
        #expect(text.contains("✓ took over from generation blue\n"), "\(text)")
        #expect(try terminal.shown(isColoured: true).contains("\u{1B}") == (noColour == nil))
    }

    /// It says which copy it was, and the end of what it wrote.
    @Test(arguments: Level.allCases)
    func failed(level: Level) throws {
        let stage = try Stage(level)
        let terminal = try TmuxTerminal(
            stage, try deploy(stage, "red", "--copies 2", command: "sh -c 'echo trouble; exit 3'"))
        #expect(try terminal.end() == 1)
        let text = try terminal.shown()
        #expect(text.contains(#/\n +copy 0 +pid [0-9]+ +failed\n +copy 1 +pid/#), "\(text)")
        #expect(text.contains("the output in \(stage.home)/0.log:\n   trouble\n"), "\(text)")
    }

    /// One line for each step where it is no terminal.
    @Test func deployedIntoPipe() throws {
        let stage = try Stage(.ordinary)
        defer { _ = try? stage.verb("terminate", ["web"]) }
        let outcome = try stage.box.start(
            program: "/bin/sh", ["-c", ByteString(try deploy(stage, "blue", "--copies 2"))], stage.asDeployer
        ).end()
        #expect(outcome.exit == 0)
        for line in outcome.errors.split(separator: "\n") {
            #expect(line.hasPrefix("reuseport-exec: info: web blue: "), "\(outcome.errors)")
        }
        #expect(outcome.errors.contains("copy 1 is ready\n") && !outcome.errors.contains("\u{1B}"))
    }
}
