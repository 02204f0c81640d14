import CLinux
import Glibc
import Testing

@testable import ReusePortKit

/// What a deploy shows of its copies on a terminal.
@Suite struct ProgressTests {
    private let terminal: PseudoTerminal
    private let screen = Screen(
        size: .init(columns: 40, rows: 24), isColoured: true, isUTF8: true, isRewritable: true)

    init() throws { terminal = try PseudoTerminal(columns: 40, rows: 24) }

    private func progress(
        _ copies: [Int], _ verbosity: Verbosity = .steps, _ screen: Screen? = nil
    ) -> Progress {
        Progress(
            app: "web", label: "7", copies: copies, verbosity: verbosity, descriptor: terminal.far,
            screen: screen ?? self.screen)
    }

    @Test func drawnAnew() {
        var picture = Picture()
        var progress = progress([0, 1])
        progress.note(copy: 0, pid: 4711, .starting)
        picture.show(terminal.written())
        #expect(picture.text == "web 7: starting 2 copies\n  copy 0  pid 4711     starting\n  copy 1               -\n")
        progress.note(copy: 1, pid: 1_234_567, .starting)
        progress.note(copy: 0, pid: nil, .ready)
        progress.write(.step, "took over from generation 6")
        progress.note(copy: 0, pid: nil, .serving)
        progress.note(copy: 1, pid: nil, .failed(EndReason(.handoff, "exited with 3\n, and it is a long story")))
        let text = terminal.written()
        #expect(text.text.contains("\u{1B}[32mserves\u{1B}[0m"))
        picture.show(text)
        progress.note(copy: 0, pid: nil, .serving)
        progress.note(copy: 5, pid: nil, .serving)
        #expect(terminal.written() == "")
        progress.write(.step, "serves with 1 copy")
        picture.show(terminal.written())
        #expect(
            picture.text == """
                web 7: starting 2 copies
                  copy 0  pid 4711     serves
                  copy 1  pid 1234567  failed
                ✓ took over from generation 6
                ✓ serves with 1 copy

                """)
    }

    @Test func manyCopies() {
        var picture = Picture()
        var progress = progress(Array(0..<10), .steps, Screen(size: screen.size, isRewritable: true))
        for copy in 0..<4 { progress.note(copy: copy, pid: 4711, .starting) }
        for copy in 0..<3 { progress.note(copy: copy, pid: nil, .ready) }
        picture.show(terminal.written())
        #expect(picture.text == "web 7: starting 10 copies\n  ######..............  3 of 10  3 r...\n")
        progress.write(.step, "a step")
        progress.write(.warning, "nothing was switched")
        let text = terminal.written()
        #expect(!text.contains(0x1B))
        picture.show(text)
        #expect(picture.text.hasSuffix("ok a step\n! nothing was switched\n"), "\(picture.text)")
    }

    /// What a line was has gone up beyond the screen: it is not written over another one.
    @Test func scrolledAway() {
        terminal.resize(columns: 40, rows: 5)
        var progress = progress([0, 1])
        for number in 0..<4 { progress.write(.step, "step \(number)") }
        _ = terminal.written()
        progress.note(copy: 0, pid: 1, .ready)
        progress.note(copy: 1, pid: 1, .ready)
        #expect(terminal.written() == "")
    }

    @Test func narrowed() {
        var progress = progress([0, 1])
        _ = terminal.written()
        terminal.resize(columns: 24, rows: 24)
        progress.note(copy: 0, pid: 4711, .ready)
        var picture = Picture()
        picture.show(terminal.written())
        #expect(picture.text == "  copy 0  pid 4711\n  copy 1\n")
        progress.note(copy: 1, pid: 4712, .ready)
        picture.show(terminal.written())
        #expect(picture.text == "  copy 0  pid 4711\n  copy 1  pid 4712\n")
    }

    @Test func output() {
        var picture = Picture()
        var progress = progress([0])
        let output = ByteString((1...20).map { "line \($0)\n" }.joined() + "a line that is longer than the screen is\n")
        progress.output(of: "/var/log/reuseport-exec/web.log", output, false)
        progress.output(of: "/empty", "\n", false)
        picture.show(terminal.written())
        let shown = { (lines: ClosedRange<Int>) in lines.map { "   line \($0)\n" }.joined() }
        #expect(
            picture.text.hasSuffix(
                """
                ! the output in
                  /var/log/reuseport-exec/web.log:
                \(shown(1...8))   ...
                \(shown(18...20))   a line that is longer than the
                  screen is

                """), "\(picture.text)")
    }

    // MARK: - No terminal

    private func lines(_ verbosity: Verbosity) -> [String] {
        var progress = progress([0], verbosity, Screen.noTerminal)
        progress.note(copy: 0, pid: 4711, .starting)
        progress.note(copy: 0, pid: nil, .ready)
        progress.note(copy: 0, pid: nil, .serving)
        progress.write(.step, "took over from generation 6")
        progress.write(.detail, "a detail")
        progress.note(copy: 0, pid: nil, .failed(EndReason(.handoff, "exited with 3\n")))
        progress.output(of: "/log", "1\n2\n", false)
        progress.write(.warning, "careful")
        progress.write(.step, "all is well")
        return terminal.written().text.split(separator: "\r\n").map { String($0) }
    }

    private let warnings = [
        "reuseport-exec: warning: web 7: the output in /log:", "reuseport-exec: warning: web 7: | 1",
        "reuseport-exec: warning: web 7: | 2",
        "reuseport-exec: warning: web 7: careful",
    ]

    @Test func plainLines() {
        #expect(
            lines(.steps) == [
                "reuseport-exec: info: web 7: copy 0 is starting, as pid 4711",
                "reuseport-exec: info: web 7: copy 0 is ready",
                "reuseport-exec: info: web 7: took over from generation 6",
            ] + warnings + ["reuseport-exec: info: web 7: all is well"])
        #expect(lines(.quiet) == warnings)
        let everything = lines(.everything)
        #expect(everything.contains("reuseport-exec: debug: web 7: copy 0 serves"))
        #expect(everything.contains("reuseport-exec: debug: web 7: a detail"))
    }

    /// In a log, a deploy that waits says every ten seconds so, and what it has seen.
    @Test func waiting() {
        var progress = progress([0, 1, 2], .steps, Screen.noTerminal)
        for copy in 0..<3 { progress.note(copy: copy, pid: 4711, .starting) }
        progress.note(copy: 1, pid: nil, .ready)
        _ = terminal.written()
        for second in 1...20 {
            for _ in 0..<2 { progress.tick(UInt64(second), of: 60) }
            if second == 15 { progress.seen = "no answer" }
        }
        let lines = terminal.written().text.split(whereSeparator: \.isNewline)
        #expect(
            lines == [
                "reuseport-exec: info: web 7: not ready after 10 s of 60 (--ready-timeout): copy 0, 2",
                "reuseport-exec: info: web 7: not ready after 20 s of 60 (--ready-timeout): copy 0, 2: no answer",
            ])
    }

    /// Quiet is quiet on a terminal as well.
    @Test func quiet() {
        var progress = progress([0], .quiet)
        progress.note(copy: 0, pid: 4711, .ready)
        progress.write(.step, "took over")
        #expect(terminal.written() == "")
        progress.write(.warning, "careful")
        #expect(terminal.written() == "reuseport-exec: warning: web 7: careful\r\n")
    }

    // MARK: - Nobody looks

    /// A terminal that takes nothing any more, or has gone, ends nothing.
    @Test func stopped() {
        var progress = progress([0, 1])
        // As ^S does.
        #expect(tcflow(terminal.far, TCOOFF) == 0)
        for number in 0..<1000 { progress.note(copy: number % 2, pid: Int32(number + 1), .starting) }
        #expect(tcflow(terminal.far, TCOON) == 0)
        _ = terminal.written()
        progress.note(copy: 0, pid: 5000, .ready)
        progress.note(copy: 1, pid: 5001, .ready)
        var picture = Picture()
        picture.show(terminal.written())
        #expect(picture.text == "  copy 0  pid 5000     ready\n  copy 1  pid 5001     ready\n")
    }

    /// Whoever comes to read later sees all of it.
    @Test func goneReader() throws {
        clinux_ignore_signal(SIGPIPE)
        func makePipe() throws -> OwnedArray<Descriptor> {
            var numbers: [Int32] = [-1, -1]
            try checked(pipe2(&numbers, O_CLOEXEC | O_NONBLOCK))
            var ends = OwnedArray<Descriptor>()
            for number in numbers { ends.append(Descriptor(owning: number)) }
            return ends
        }
        var first = try makePipe()
        let writer = first.remove(at: 1)
        var progress = Progress(
            app: "web", label: "7", copies: [0], verbosity: .steps, descriptor: writer.number, screen: screen)
        _ = first.popLast()
        // What other tests fork meanwhile has the other end open until its exec.
        let isGone = try waitForEvents(0, on: writer, until: Deadline(after: .seconds(10)))
        #expect(isGone)
        progress.note(copy: 0, pid: 1, .ready)
        progress.write(.step, "took over")
        let second = try makePipe()
        try checked(dup3(second[1].number, writer.number, O_CLOEXEC))
        progress.note(copy: 0, pid: 1, .serving)
        var picture = Picture()
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = try checked(read(second[0].number, &bytes, bytes.count))
        picture.show(ByteString(bytes[..<count]))
        #expect(picture.text == "  copy 0  pid 1        serves\n")
    }
}
