/// Writes a JSON string. JSON is UTF-8: in a text that is not, every byte above 0x7F becomes U+FFFD.
func json(_ text: ByteString) -> ByteString {
    let isText = text.isUTF8
    var result: ByteString = "\""
    for byte in text.bytes {
        switch byte {
        case UInt8(ascii: "\""): result.append("\\\"")
        case UInt8(ascii: "\\"): result.append("\\\\")
        case UInt8(ascii: "\n"): result.append("\\n")
        case 0..<0x20, 0x7F:
            result.append("\\u00")
            result.append(hexDigit(byte >> 4))
            result.append(hexDigit(byte & 15))
        case 0x80... where !isText: result.append("\\ufffd")
        default: result.append(byte)
        }
    }
    result.append("\"")
    return result
}

/// A JSON object, to which members are added one by one.
struct JSONObject {
    private var members = ByteString()

    /// The whole object.
    var text: ByteString { "{\(members)}" }

    /// Adds a member whose value is JSON already.
    @inline(never)
    mutating func add(key: ByteString, value: ByteString) {
        if !members.isEmpty { members.append(",") }
        members.append("\(json(key)):\(value)")
    }

    @inline(never)
    private mutating func add(_ key: Literal, value: consuming ByteString) {
        add(key: unsafe ByteString(literal: key), value: value)
    }

    @inline(never)
    private mutating func add(_ key: Literal, _ text: ByteString?) { unsafe add(key, value: json(text)) }

    @inline(__always)
    mutating func add(_ key: StaticString, value: consuming ByteString) { unsafe add(key.start, value: value) }

    @inline(__always)
    mutating func add(_ key: StaticString, _ text: ByteString?) { unsafe add(key.start, text) }

    @inline(__always)
    mutating func add(_ key: StaticString, _ flag: Bool) { unsafe add(key.start, value: flag ? "true" : "false") }

    @inline(__always)
    mutating func add<Number: FixedWidthInteger>(_ key: StaticString, _ number: Number?) {
        unsafe add(key.start, value: json(number))
    }
}

/// A JSON array of values that are JSON already.
func array(of items: [ByteString]) -> ByteString { "[\(joined(items, by: ","))]" }

/// A JSON array of strings.
func array(_ texts: [ByteString]) -> ByteString { array(of: texts.map { json($0) }) }

/// A JSON string, or null.
func json(_ text: ByteString?) -> ByteString {
    guard let text else { return "null" }
    return json(text)
}

/// A JSON number, or null.
func json<Number: FixedWidthInteger>(_ number: Number?) -> ByteString {
    number.map { ByteString(decimal: $0) } ?? "null"
}
