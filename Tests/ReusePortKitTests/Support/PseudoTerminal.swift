import Glibc
import Testing

@testable import ReusePortKit

/// Both ends of a terminal.
final class PseudoTerminal {
    let near: Int32
    let far: Int32

    init(columns: UInt16, rows: UInt16) throws {
        var ends: [Int32] = [-1, -1]
        var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
        let result = ends.withUnsafeMutableBufferPointer { ends in
            openpty(ends.baseAddress!, ends.baseAddress! + 1, nil, nil, &size)
        }
        guard result == 0 else { throw Unavailable(description: "there is no pseudo terminal") }
        (near, far) = (ends[0], ends[1])
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(near, F_SETFL, O_NONBLOCK)
    }

    deinit {
        close(near)
        close(far)
    }

    func resize(columns: UInt16, rows: UInt16) {
        var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
        #expect(ioctl(near, UInt(TIOCSWINSZ), &size) == 0)
    }

    /// What has been written to it so far.
    func written() -> ByteString {
        var result: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(near, &buffer, buffer.count)
            if count <= 0 { return ByteString(result) }
            result += buffer[..<count]
        }
    }
}

/// What such a terminal shows: as much of one as is needed here.
struct Picture {
    private(set) var lines: [[Character]] = [[]]
    private var row = 0
    private var column = 0

    /// As text, with blanks at the ends of lines removed.
    var text: String {
        lines.map { line in String(line).replacing(#/ +$/#, with: "") }.joined(separator: "\n")
    }

    mutating func show(_ bytes: ByteString) {
        var rest = Substring(bytes.text)
        while let next = rest.unicodeScalars.first {
            rest.unicodeScalars.removeFirst()
            switch next {
            case "\r": column = 0
            case "\n":
                row += 1
                if row == lines.count { lines.append([]) }
            case "\u{1B}":
                let sequence = rest.prefix { !$0.isLetter }
                let final = rest[sequence.endIndex]
                rest = rest[sequence.endIndex...].dropFirst()
                let number = Int(sequence.dropFirst()) ?? 1
                switch final {
                case "A": row -= number
                case "B": row += number
                case "K": lines[row].removeSubrange(min(column, lines[row].count)...)
                case "m": break
                default: Issue.record("\(sequence)\(final)")
                }
                #expect(lines.indices.contains(row))
            default:
                while lines[row].count <= column { lines[row].append(" ") }
                lines[row][column] = Character(next)
                column += 1
            }
        }
    }
}
