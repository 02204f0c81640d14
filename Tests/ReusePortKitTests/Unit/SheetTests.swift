import Testing

@testable import ReusePortKit

/// A terminal that shows UTF-8.
func screen(_ width: Int, colour: Bool = false) -> Screen {
    Screen(size: .init(columns: width, rows: 24), isColoured: colour, isUTF8: true, isRewritable: true)
}

/// Cells below each other, and lines that go on.
@Suite struct SheetTests {
    private var sheet: Sheet {
        var sheet = Sheet()
        sheet.add([Cell("APP", .heading), Cell("STATE", .heading), Cell(""), Cell("SINCE", .heading)], group: 0)
        sheet.add([Cell("web"), Cell("live", .good), Cell(""), Cell("5m")], group: 0)
        sheet.add([Cell("a-long-name"), Cell("failed", .bad), Cell(""), Cell("3m")], tail: "why it is so", group: 0)
        sheet.add([Cell("free")], indent: 4)
        return sheet
    }

    @Test func plain() {
        #expect(
            sheet.text(on: .noTerminal).text == """
                APP          STATE   SINCE
                web          live    5m
                a-long-name  failed  3m  why it is so
                    free

                """)
        #expect(sheet.text(on: screen(80)) == sheet.text(on: .noTerminal))
    }

    @Test func coloured() {
        let text = sheet.text(on: screen(80, colour: true)).text
        #expect(text.contains("web          \u{1B}[32mlive\u{1B}[0m    5m\n"), "\(text)")
        #expect(text.contains("\u{1B}[31mfailed\u{1B}[0m"), "\(text)")
        #expect(withoutColour(text) == sheet.text(on: .noTerminal).text)
    }

    @Test func narrow() {
        #expect(
            sheet.text(on: screen(30)).text == """
                APP          STATE   SINCE
                web          live    5m
                a-long-name  failed  3m
                  why it is so
                    free

                """)
    }

    @Test func brokenBetweenWords() {
        var sheet = Sheet()
        sheet.add([Cell("head")], tail: "one two three four five /a/path/that/is/longer/than/a/line", indent: 2)
        #expect(
            sheet.text(on: screen(20)).text == """
                  head
                    one two three
                    four five
                    /a/path/that/is/
                    longer/than/a/li
                    ne

                """)
    }

    /// Whatever is in it, no line is longer than the screen, and nothing is lost.
    @Test(arguments: [16, 20, 33, 47, 64, 80])
    func everyWidth(width: Int) {
        var sheet = sheet
        sheet.add([Cell(ByteString(String(repeating: "x", count: 64))), Cell("live"), Cell("a"), Cell("b")], group: 0)
        sheet.add([Cell("bytes")], tail: "a\nb\u{1B}[31mc 日本語日本語日本語日本語日本語", indent: 6)
        let text = sheet.text(on: screen(width, colour: true)).text
        for line in withoutColour(text).split(separator: "\n") {
            #expect(screen(width).columns(ByteString(String(line))) <= width, "\(line)")
        }
        let letters = withoutColour(text).filter { !$0.isWhitespace }
        #expect(letters == sheet.text(on: .noTerminal).text.filter { !$0.isWhitespace })
    }

    @Test func escapes() { #expect(Cell("a\u{1B}[2Jb\n").text == "a\\x1b[2Jb\\n") }
}

@Suite struct ExcerptTests {
    private func excerpt(_ lines: [String]) -> [String] {
        ReusePortKit.excerpt(of: ByteString(lines.joined(separator: "\n"))).map(\.text)
    }

    @Test func fitForTerminals() {
        let output = ["1", "2", "\u{1B}[1;31mred\u{1B}[0m\r", "\ta\tb", "end \u{1B}]0;x\u{7}", "", "  ", ""]
        #expect(excerpt(output) == ["1", "2", "red", "        a       b", "end \\x1b]0;x\\x07"])
        #expect(excerpt([]) == [])
        #expect(excerpt(["\u{1B}["]) == [])
    }

    /// Of several copies that write the same, one is shown, and nothing of the launcher's.
    @Test func oneCopy() {
        #expect(excerpt(["a", "a", "reuseport-exec: info: web 7: took over", "b", "b"]) == ["a", "b"])
    }

    @Test func errorsAreShown() {
        var output = (1...20).map { "line \($0)" }
        let ends = (1...8).map { "line \($0)" } + ["..."]
        let last = (17...20).map { "line \($0)" }
        #expect(excerpt(output) == ends + last)
        output.insert("TypeError: x", at: 12)
        output.insert("another error", at: 13)
        // With the lines before it, which say where.
        #expect(excerpt(output) == ends + ["line 11", "line 12", "TypeError: x"] + last)
        #expect(excerpt(Array(output.prefix(12))) == Array(output.prefix(12)))
        let long = excerpt([String(repeating: "x", count: 5000) + "Error"])
        #expect(long.count == 1 && long[0].count < 500 && long[0].hasSuffix("xError"))
    }
}

func withoutColour(_ text: String) -> String {
    var result = ""
    var rest = Substring(text)
    while let start = rest.firstRange(of: "\u{1B}[") {
        result += rest[..<start.lowerBound]
        rest = rest[start.upperBound...].drop { $0 != "m" }.dropFirst()
    }
    return result + rest
}
