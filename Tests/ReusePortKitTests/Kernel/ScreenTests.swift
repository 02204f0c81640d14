import CLinux
import Testing

@testable import ReusePortKit

/// What is shown where.
@Suite struct ScreenTests {
    @Test(arguments: [("abc", 3), ("grün", 4), ("日本", 4), ("e\u{301}", 1), ("✓", 1), ("🚀", 2), ("", 0)])
    func columns(text: String, count: Int) {
        #expect(screen(80).columns(ByteString(text)) == count)
    }

    /// Where bytes are shown one by one, each may take a column.
    @Test func columnsOfBytes() { #expect(Screen.noTerminal.columns("grün") == 5) }

    @Test(arguments: [
        ("abcdef", 6, "abcdef"), ("abcdef", 5, "abcd…"), ("日本語", 5, "日本…"), ("日本語", 4, "日…"), ("ab", 1, "…"),
        ("ab", 0, ""),
    ])
    func cut(text: String, width: Int, shown: String) {
        #expect(screen(80).cut(ByteString(text), to: width) == ByteString(shown))
    }

    @Test func cutWithoutUTF8() {
        #expect(Screen.noTerminal.cut("abcdef", to: 5) == "ab...")
        #expect(Screen.noTerminal.cut("abcdef", to: 2) == "ab")
    }

    private func look(_ variables: [ByteString: ByteString]) throws -> Screen {
        let terminal = try PseudoTerminal(columns: 100, rows: 30)
        return Screen(of: terminal.far) { variables[$0] }
    }

    @Test func colour() throws {
        #expect(try look(["TERM": "xterm"]).isColoured)
        #expect(try look(["TERM": "xterm", "NO_COLOR": ""]).isColoured)
        #expect(try !look(["TERM": "xterm", "NO_COLOR": "0"]).isColoured)
        #expect(try look(["TERM": "xterm", "NO_COLOR": "1"]).isRewritable)
        for variables in [["TERM": "dumb"], [:]] as [[ByteString: ByteString]] {
            let screen = try look(variables)
            #expect(!screen.isColoured && !screen.isRewritable)
            #expect(screen.size == Screen.Size(columns: 100, rows: 30))
        }
    }

    @Test func noTerminal() throws {
        let file = try open("/dev/null", O_WRONLY)
        #expect(Screen(of: file.number) { $0 == "TERM" ? "xterm" : $0 == "COLUMNS" ? "40" : nil } == .noTerminal)
    }

    @Test func size() throws {
        let terminal = try PseudoTerminal(columns: 0, rows: 0)
        #expect(Screen.size(of: terminal.far) { _ in nil } == Screen.Size(columns: 80, rows: 24))
        #expect(Screen.size(of: terminal.far) { $0 == "COLUMNS" ? "66" : nil }?.columns == 66)
        #expect(Screen.size(of: terminal.far) { $0 == "COLUMNS" ? "wide" : nil }?.columns == 80)
    }

    @Test(
        arguments: [
            (["LANG": "de_DE.UTF-8"], true), (["LANG": "C.utf8"], true), (["LANG": "C.UTF-8", "LC_ALL": "C"], false),
            (["LC_ALL": "", "LC_CTYPE": "en_US.utf-8"], true), (["LANG": "C"], false), ([:], false),
        ] as [([ByteString: ByteString], Bool)])
    func locale(variables: [ByteString: ByteString], isUTF8: Bool) throws {
        #expect(try look(variables).isUTF8 == isUTF8)
    }
}
