import CLinux

/// Where text is shown: how much room there is, and what can be shown.
struct Screen: Sendable, Equatable {
    /// Columns and rows of a terminal. Nil for a file or a pipe, where nothing is cut, wrapped or drawn again.
    var size: Size?
    var isColoured = false
    /// Whether it shows characters beyond ASCII.
    var isUTF8 = false
    /// Whether a line that was written can be rewritten.
    var isRewritable = false

    struct Size: Sendable, Equatable {
        var columns: Int
        var rows: Int
    }

    static let noTerminal = Screen()

    var width: Int? { size?.columns }
}

extension Screen {
    /// Looks at a descriptor. `variable` is getenv(3).
    @inline(never)
    init(of descriptor: Int32, variable: (ByteString) -> ByteString? = environmentVariable) {
        size = Screen.size(of: descriptor, variable: variable)
        isUTF8 = Screen.isUTF8(variable)
        let terminal = variable("TERM") ?? ""
        isRewritable = size != nil && !terminal.isEmpty && terminal != "dumb"
        // no-color.org: set and not empty, whatever its value.
        isColoured = isRewritable && (variable("NO_COLOR") ?? "").isEmpty
    }

    @inline(never)
    static func size(
        of descriptor: Int32, variable: (ByteString) -> ByteString? = environmentVariable
    ) -> Size? {
        var columns: Int32 = 0
        var rows: Int32 = 0
        guard clinux_window_size(descriptor, &columns, &rows) == 0 else { return nil }
        if columns <= 0 { columns = number(variable("COLUMNS")) ?? 80 }
        if rows <= 0 { rows = number(variable("LINES")) ?? 24 }
        return Size(columns: Int(columns), rows: Int(rows))
    }

    private static func number(_ text: ByteString?) -> Int32? {
        guard let number = text?.decimal, number > 0, number < 10000 else { return nil }
        return Int32(number)
    }

    /// Looks at the first variable that is set and not empty, as setlocale(3) does.
    private static func isUTF8(_ variable: (ByteString) -> ByteString?) -> Bool {
        for name in ["LC_ALL", "LC_CTYPE", "LANG"] as [ByteString] {
            guard let locale = variable(name), !locale.isEmpty else { continue }
            var letters = ByteString()
            for byte in locale.bytes where byte != UInt8(ascii: "-") { letters.append(byte | 0x20) }
            return (0..<letters.count).contains { letters.hasBytes("utf8", at: $0) }
        }
        return false
    }
}

/// A meaning that is shown by a colour.
enum Ink: Sendable {
    case plain, heading, good, waiting, bad, past

    fileprivate var code: ByteString {
        switch self {
        case .plain: ""
        case .heading: "1"
        case .good: "32"
        case .waiting: "33"
        case .bad: "31"
        case .past: "2"
        }
    }
}

extension Screen {
    func painted(_ text: ByteString, _ ink: Ink) -> ByteString {
        isColoured && ink != .plain && !text.isEmpty ? "\u{1B}[\(ink.code)m\(text)\u{1B}[0m" : text
    }

    /// How many columns a printable text takes.
    @inline(never)
    func columns(_ text: ByteString) -> Int { measure(text, within: .max).columns }

    /// As much of a text as fits, with an ellipsis if it does not fit whole.
    func cut(_ text: ByteString, to width: Int) -> ByteString {
        if columns(text) <= width { return text }
        let mark: ByteString = isUTF8 ? "…" : "..."
        let rest = width - columns(mark)
        return rest < 0 ? head(of: text, within: width) : "\(head(of: text, within: rest))\(mark)"
    }

    /// The first characters, as many as fit.
    func head(of text: ByteString, within width: Int) -> ByteString {
        text.prefix(measure(text, within: width).length)
    }

    /// Bytes and columns of the first characters, as many as fit.
    private func measure(_ text: ByteString, within width: Int) -> (length: Int, columns: Int) {
        var fit = (length: 0, columns: 0)
        while fit.length < text.count {
            let next = character(text, at: fit.length)
            if fit.columns + next.columns > width { break }
            fit = (fit.length + next.length, fit.columns + next.columns)
        }
        return fit
    }

    /// Bytes and columns of the character that starts at `index`. Not inlined: saves 2 kB.
    @inline(never)
    private func character(_ text: ByteString, at index: Int) -> (length: Int, columns: Int) {
        let lead = text.bytes[index]
        guard isUTF8, lead >= 0xC0 else { return (1, 1) }
        let length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
        guard index + length <= text.count else { return (1, 1) }
        var scalar = UInt32(lead) & (0xFF >> UInt32(length + 1))
        for offset in 1..<length { scalar = scalar << 6 | UInt32(text.bytes[index + offset] & 0x3F) }
        return (length, columnCount(scalar))
    }
}

/// How many columns a character takes, by the main ranges; in doubt the greater. wcwidth(3) would need a locale and its
/// tables.
private func columnCount(_ scalar: UInt32) -> Int {
    switch scalar {
    case 0x300...0x36F, 0x200B...0x200F, 0xFE00...0xFE0F: 0
    case 0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
        0xFFE0...0xFFE6, 0x1F000...0x1FAFF, 0x20000...0x3FFFF:
        2
    default: 1
    }
}
