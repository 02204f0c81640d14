/// A file of the registry: `key=value` lines, read and written as a whole.
///
/// A value consists of fields with blanks between them. In a field, blanks, percent signs and control bytes are written
/// as `%20`, so that any name or path fits on a line. An empty field is `-`.
struct RegistryText {
    var lines: [Steering.Line] = []

    init() {}

    /// Reads a file; nil if it is not a complete file of the registry.
    init?(_ text: ByteString) {
        // The last line shows that nothing is missing.
        guard text.hasSuffix("end=\n") else { return nil }
        for line in text.split(on: UInt8(ascii: "\n")) where !line.isEmpty {
            guard let (key, value) = line.cut(at: UInt8(ascii: "=")) else { return nil }
            if key == "end" { continue }
            lines.append((key, value.split(on: UInt8(ascii: " ")).map(unescaped)))
        }
    }

    var text: ByteString {
        var result = ByteString()
        for line in lines {
            result.append(line.key)
            var separator = UInt8(ascii: "=")
            for field in line.fields {
                result.append(separator)
                result.append(escaped(field))
                separator = UInt8(ascii: " ")
            }
            if line.fields.isEmpty { result.append(separator) }
            result.append(UInt8(ascii: "\n"))
        }
        result.append("end=\n")
        return result
    }

    // Each adds a line, unless there is nothing to be written.

    @inline(__always)
    mutating func add(_ key: StaticString, _ field: ByteString?) { unsafe add(key.start, field) }

    @inline(__always)
    mutating func add<Number: FixedWidthInteger>(_ key: StaticString, _ number: Number?) {
        add(key, number.map { ByteString(decimal: $0) })
    }

    @inline(__always)
    mutating func add(_ key: StaticString, list fields: [ByteString]?) { unsafe add(key.start, list: fields) }

    @inline(never)
    private mutating func add(_ key: Literal, _ field: ByteString?) { unsafe add(key, list: field.map { [$0] }) }

    @inline(never)
    private mutating func add(_ key: Literal, list fields: [ByteString]?) {
        if let fields { lines.append((unsafe ByteString(literal: key), fields)) }
    }

    /// The fields of the first line with this key.
    @inline(__always)
    func fields(_ key: StaticString) -> [ByteString]? { unsafe fields(key.start) }

    @inline(never)
    private func fields(_ key: Literal) -> [ByteString]? { lines.first { unsafe $0.key.equals(key) }?.fields }

    /// The fields of each line with this key.
    func all(_ key: StaticString) -> [[ByteString]] { lines.filter { $0.key == key }.map { $0.fields } }

    @inline(__always)
    func number(_ key: StaticString) -> UInt64? { unsafe number(key.start) }

    @inline(never)
    private func number(_ key: Literal) -> UInt64? { unsafe fields(key)?.first?.decimal }
}

private func escaped(_ field: ByteString) -> ByteString {
    if field.isEmpty { return "-" }
    if field == "-" { return "%2d" }
    if !field.bytes.contains(where: isEscaped) { return field }
    var result = ByteString()
    for byte in field.bytes {
        if isEscaped(byte) {
            result.append(UInt8(ascii: "%"))
            result.append(hexDigit(byte >> 4))
            result.append(hexDigit(byte & 15))
        } else {
            result.append(byte)
        }
    }
    return result
}

private func isEscaped(_ byte: UInt8) -> Bool { byte <= 0x20 || byte == 0x7F || byte == UInt8(ascii: "%") }

private func unescaped(_ field: ByteString) -> ByteString {
    if field == "-" { return "" }
    if !field.contains(UInt8(ascii: "%")) { return field }
    var result = ByteString()
    var index = 0
    while index < field.count {
        let byte = field.bytes[index]
        if byte == UInt8(ascii: "%"), index + 2 < field.count, let high = hexValue(field.bytes[index + 1]),
            let low = hexValue(field.bytes[index + 2])
        {
            result.append(high << 4 | low)
            index += 3
        } else {
            result.append(byte)
            index += 1
        }
    }
    return result
}

private func hexValue(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    default: nil
    }
}
