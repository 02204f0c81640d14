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

/// Writes a JSON object. The values of the members are JSON already.
func object(_ members: [(ByteString, ByteString)]) -> ByteString {
    "{\(joined(members.map { "\(json($0.0)):\($0.1)" }, by: ","))}"
}

/// A JSON array of values that are JSON already.
func array(_ items: [ByteString]) -> ByteString { "[\(joined(items, by: ","))]" }

/// A JSON string, or null.
func json(_ text: ByteString?) -> ByteString {
    guard let text else { return "null" }
    return json(text)
}

/// A JSON number, or null.
func json<Number: FixedWidthInteger>(_ number: Number?) -> ByteString {
    number.map { ByteString(decimal: $0) } ?? "null"
}

func json(_ flag: Bool) -> ByteString { flag ? "true" : "false" }
