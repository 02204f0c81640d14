/// A piece of a line. It is wrapped only if it is too long for a line of its own.
struct Cell: Sendable {
    var text: ByteString
    var ink: Ink

    init(_ text: ByteString, _ ink: Ink = .plain) {
        self.text = text.printable
        self.ink = ink
    }
}

/// Lines of cells. The lines of one group have their cells in columns; empty columns take no room. A line that does not
/// fit on the screen goes on in the next, further to the right: nothing is left out.
struct Sheet {
    private struct Row {
        var indent: Int
        var group: Int?
        var cells: [Cell]
        var tail: Cell
    }

    private var rows: [Row] = []

    /// Adds a line. The tail follows the last cell, wherever that ends.
    @inline(never)
    mutating func add(_ cells: [Cell], tail: ByteString = "", indent: Int = 0, group: Int? = nil) {
        rows.append(Row(indent: indent, group: group, cells: cells, tail: Cell(tail)))
    }

    func text(on screen: Screen) -> ByteString {
        let widths = (0...maximum { $0.group ?? 0 }).map { group in columnWidths(group, screen) }
        var result = ByteString()
        for row in rows {
            var line = Line(screen: screen, indent: row.indent)
            let last = row.cells.lastIndex { !$0.text.isEmpty }
            for (index, cell) in row.cells.enumerated() {
                if index == last {
                    line.add(cell, width: 0)
                    break
                }
                let width = row.group.map { widths[$0][index] } ?? screen.columns(cell.text)
                if width > 0 { line.add(cell, width: width) }
            }
            if !row.tail.text.isEmpty { line.add(row.tail, width: 0) }
            result.append(line.finished())
        }
        return result
    }

    private func maximum(_ value: (Row) -> Int) -> Int { rows.reduce(0) { max($0, value($1)) } }

    private func columnWidths(_ group: Int, _ screen: Screen) -> [Int] {
        var widths: [Int] = []
        var indent = 0
        for row in rows where row.group == group {
            indent = max(indent, row.indent)
            for (index, cell) in row.cells.enumerated() {
                if index == widths.count { widths.append(0) }
                widths[index] = max(widths[index], screen.columns(cell.text))
            }
        }
        // One long name would push the other rows' cells off the screen, so only its own row gets the room.
        let sum = widths.dropLast().reduce(indent) { $0 + $1 + 2 }
        if let width = screen.width, sum > width { widths = widths.map { min($0, 16) } }
        return widths
    }
}

/// A line that is being written, with the lines in which it goes on.
private struct Line {
    private let screen: Screen
    private let indent: Int
    private var text = ByteString()
    private var column = 0
    /// How many blanks come before the next cell.
    private var gap = 0

    init(screen: Screen, indent: Int) {
        self.screen = screen
        self.indent = indent
        gap = indent
    }

    @inline(never)
    mutating func add(_ cell: Cell, width: Int) {
        let columns = screen.columns(cell.text)
        if let end = screen.width, column > indent, column + gap + columns > end { wrap() }
        put(cell)
        gap = max(width - columns, 0) + 2
    }

    func finished() -> ByteString { "\(text)\n" }

    private mutating func wrap() {
        text.append("\n")
        column = 0
        gap = indent + 2
    }

    private mutating func put(_ cell: Cell) {
        guard let end = screen.width else { return write(cell.text, cell.ink) }
        // Wraps at blanks, or within a word that is too long for a line of its own.
        var rest = cell.text
        while column + gap + screen.columns(rest) > end {
            let room = max(end - column - gap, 8)
            var head = screen.head(of: rest, within: room)
            if head.count == rest.count { break }
            if rest.bytes[head.count] != UInt8(ascii: " "), let blank = head.lastIndex(of: UInt8(ascii: " ")), blank > 0
            {
                head = head.prefix(blank)
            }
            write(head, cell.ink)
            rest = rest.dropFirst(head.count).trimmed
            wrap()
        }
        write(rest, cell.ink)
    }

    private mutating func write(_ part: ByteString, _ ink: Ink) {
        if part.isEmpty { return }
        for _ in 0..<gap { text.append(UInt8(ascii: " ")) }
        column += gap + screen.columns(part)
        gap = 0
        text.append(screen.painted(part, ink))
    }
}
