/// Returns the JSON text of one member of an object; empty if there is no such member, or `text` is not an object.
func member(_ key: ByteString, ofJSON text: ByteString) -> ByteString {
    var reader = JSONReader(bytes: text.bytes)
    guard reader.skip("{") else { return "" }
    repeat {
        guard let name = reader.value(), name.hasPrefix("\""), reader.skip(":"), let value = reader.value()
        else { return "" }
        if name[1..<(name.count - 1)] == key { return value }
    } while reader.skip(",")
    return ""
}

/// Returns whether the text is exactly one JSON value. The target's parser would end the target otherwise.
func isJSON(_ text: ByteString) -> Bool {
    var reader = JSONReader(bytes: text.bytes)
    return text.isUTF8 && reader.value() != nil && reader.isAtEnd
}

/// Steps through a JSON text (RFC 8259).
private struct JSONReader {
    let bytes: [UInt8]
    var at = 0

    private var next: UInt8 { at < bytes.count ? bytes[at] : 0 }

    var isAtEnd: Bool {
        mutating get {
            skipBlanks()
            return at == bytes.count
        }
    }

    private mutating func skipBlanks() {
        while next == 0x20 || next == 0x09 || next == 0x0A || next == 0x0D { at += 1 }
    }

    /// Skips blanks and then `sign`; returns false if anything else comes.
    mutating func skip(_ sign: Unicode.Scalar) -> Bool {
        skipBlanks()
        guard next == UInt8(ascii: sign) else { return false }
        at += 1
        return true
    }

    /// Reads the next value; returns its text.
    mutating func value() -> ByteString? {
        skipBlanks()
        let start = at
        return skipValue(depth: 0) ? ByteString(bytes[start..<at]) : nil
    }

    private mutating func skipValue(depth: Int) -> Bool {
        // Bounds the recursion: deeply nested input must not exhaust the stack.
        if depth > 64 { return false }
        skipBlanks()
        switch next {
        case UInt8(ascii: "\""): return skipString()
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            let isObject = next == UInt8(ascii: "{")
            let close: Unicode.Scalar = isObject ? "}" : "]"
            at += 1
            if skip(close) { return true }
            repeat {
                if isObject {
                    skipBlanks()
                    guard next == UInt8(ascii: "\""), skipString(), skip(":") else { return false }
                }
                guard skipValue(depth: depth + 1) else { return false }
            } while skip(",")
            return skip(close)
        case UInt8(ascii: "t"): return skipWord("true")
        case UInt8(ascii: "f"): return skipWord("false")
        case UInt8(ascii: "n"): return skipWord("null")
        default: return skipNumber()
        }
    }

    private mutating func skipWord(_ word: ByteString) -> Bool {
        guard ByteString(bytes).hasBytes(word, at: at) else { return false }
        at += word.count
        return true
    }

    private mutating func skipString() -> Bool {
        at += 1
        while at < bytes.count, bytes[at] >= 0x20 {
            switch bytes[at] {
            case UInt8(ascii: "\""):
                at += 1
                return true
            case UInt8(ascii: "\\"):
                at += 1
                guard at < bytes.count, ByteString("\"\\/bfnrtu").contains(bytes[at]) else { return false }
                if bytes[at] == UInt8(ascii: "u") {
                    for _ in 0..<4 {
                        at += 1
                        guard isDigit(next) || next | 0x20 >= UInt8(ascii: "a") && next | 0x20 <= UInt8(ascii: "f")
                        else { return false }
                    }
                }
                at += 1
            default: at += 1
            }
        }
        return false
    }

    private mutating func skipNumber() -> Bool {
        if next == UInt8(ascii: "-") { at += 1 }
        if next == UInt8(ascii: "0") {
            at += 1
        } else if !skipDigits() {
            return false
        }
        if next == UInt8(ascii: ".") {
            at += 1
            if !skipDigits() { return false }
        }
        if next | 0x20 == UInt8(ascii: "e") {
            at += 1
            if next == UInt8(ascii: "-") || next == UInt8(ascii: "+") { at += 1 }
            return skipDigits()
        }
        return true
    }

    private mutating func skipDigits() -> Bool {
        let start = at
        while isDigit(next) { at += 1 }
        return at > start
    }

    private func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
}
