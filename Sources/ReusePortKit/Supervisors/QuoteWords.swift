/// The words of a command as sh(1) reads them: any bytes, in single quotes.
func quotedForShell(_ words: [ByteString]) -> ByteString {
    joined(words.map { quotedForShell($0) }, by: " ")
}

/// A word as sh(1) reads it, without quotes if its bytes need none, or are allowed to go without.
func quotedForShell(_ word: ByteString, allowing isAllowed: (UInt8) -> Bool = { _ in false }) -> ByteString {
    let isPlain = word.bytes.allSatisfy { byte in isPlainInAnyShell(byte) || isAllowed(byte) }
    if isPlain && !word.isEmpty { return word }
    var result: ByteString = "'"
    for byte in word.bytes {
        if byte == UInt8(ascii: "'") { result.append("'\\''") } else { result.append(byte) }
    }
    result.append(UInt8(ascii: "'"))
    return result
}

/// The words of a command as ExecStart= reads them (systemd.service(5), "Command lines").
func quotedForUnit(_ words: [ByteString]) -> ByteString {
    joined(words.map(quotedForUnit), by: " ")
}

private func quotedForUnit(_ word: ByteString) -> ByteString {
    let isText = word.isUTF8
    var result: ByteString = "\""
    for byte in word.bytes {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            result.append(UInt8(ascii: "\\"))
            result.append(byte)
        // Specifiers and variables: twice means the sign itself, quoted or not.
        case UInt8(ascii: "%"), UInt8(ascii: "$"):
            result.append(byte)
            result.append(byte)
        // A unit file is UTF-8, and after the end of a line comes another setting.
        default:
            if byte >= 0x20 && byte < 0x7F || byte >= 0x80 && isText {
                result.append(byte)
            } else {
                result.append("\\x")
                result.append(hexDigit(byte >> 4))
                result.append(hexDigit(byte & 15))
            }
        }
    }
    result.append(UInt8(ascii: "\""))
    return result
}

/// A path as WorkingDirectory= reads it: to the end of the line, without quotes. Nil for one that cannot be written so.
func writtenForUnit(path: ByteString) -> ByteString? {
    guard path.isUTF8, path.printable == path, path.trimmed == path, !path.hasSuffix("\\") else { return nil }
    var result = ByteString()
    for byte in path.bytes {
        if byte == UInt8(ascii: "%") { result.append(byte) }
        result.append(byte)
    }
    return result
}

private func isPlainInAnyShell(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "-"), UInt8(ascii: ":"), UInt8(ascii: ","):
        true
    default: false
    }
}
