/// Chooses the lines of a program's output that tell why it failed, fit for a terminal: the first 8, the last 4, and the
/// first between them that has an error, with the two before it, which say where. Copies that write to one file write the same, so each line counts once.
func excerpt(of output: ByteString) -> [ByteString] {
    var lines: [ByteString] = []
    for line in output.split(on: UInt8(ascii: "\n")) {
        var line = withoutColours(line).printable
        if line.trimmed.isEmpty || line.hasPrefix("reuseport-exec: ") { continue }
        // The source of a bundle may be one line.
        if line.count > 500 { line = "\(line.prefix(240)) ... \(line.dropFirst(line.count - 240))" }
        if !lines.contains(line) { lines.append(line) }
    }
    let last = lines.count - 4
    guard last > 8 else { return lines }
    // An exception says its name and what happened; other lines only that there was an error.
    let error =
        lines.firstIndex { $0.contains("rror: ") }
        ?? lines.firstIndex { $0.contains("rror") || $0.contains("EADDRINUSE") || $0.contains("already in use") } ?? 0
    var result: [ByteString] = []
    for (index, line) in lines.enumerated() {
        if index == 8 { result.append("...") }
        if index < 8 || index >= last || index <= error && index >= error - 2 { result.append(line) }
    }
    return result
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
