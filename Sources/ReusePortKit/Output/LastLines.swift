/// The last lines of a program's output, fit for a terminal: without its colours, which would show as escapes, and
/// without empty lines at the end.
func lastLines(_ count: Int, of output: ByteString) -> [ByteString] {
    var lines = output.split(on: UInt8(ascii: "\n")).map { withoutColours($0) }
    while lines.last?.trimmed.isEmpty == true { lines.removeLast() }
    return lines.suffix(count).map { $0.printable }
}

/// Removes control sequences (ECMA-48) and a final carriage return, and replaces tabs with blanks.
private func withoutColours(_ line: ByteString) -> ByteString {
    var result = ByteString()
    var index = 0
    while index < line.count {
        let byte = line.bytes[index]
        index += 1
        if byte == 0x1B, index < line.count, line.bytes[index] == UInt8(ascii: "[") {
            index += 1
            while index < line.count, line.bytes[index] < 0x40 { index += 1 }
            index += 1
        } else if byte == UInt8(ascii: "\t") {
            repeat { result.append(UInt8(ascii: " ")) } while result.count % 8 != 0
        } else if byte != UInt8(ascii: "\r") || index < line.count {
            result.append(byte)
        }
    }
    return result
}
