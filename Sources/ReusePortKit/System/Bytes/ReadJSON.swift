/// What an object of JSON has under a key, as it is written. Empty if it has not, or is none.
func member(_ key: ByteString, ofJSON text: ByteString) -> ByteString {
    var reader = JSONReader(bytes: text.bytes)
    guard reader.skip("{", in: ()) else { return "" }
    repeat {
        guard let name = reader.value(), name.hasPrefix("\""), reader.skip(":", in: ()), let value = reader.value()
        else { return "" }
        if name[1..<(name.count - 1)] == key { return value }
    } while reader.skip(",", in: ())
    return ""
}

/// Whether it is one value of JSON and nothing else: what is not would end the program that reads it.
func isJSON(_ text: ByteString) -> Bool {
    var reader = JSONReader(bytes: text.bytes)
    return text.isUTF8 && reader.value() != nil && reader.isAtEnd
}

/// Goes through a text by RFC 8259.
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

    /// A sign, with what may stand before it.
    mutating func skip(_ sign: Unicode.Scalar, in structure: Void) -> Bool {
        skipBlanks()
        guard next == UInt8(ascii: sign) else { return false }
        at += 1
        return true
    }

    /// The next value as it is written.
    mutating func value() -> ByteString? {
        skipBlanks()
        let start = at
        return skipValue(depth: 0) ? ByteString(bytes[start..<at]) : nil
    }

    private mutating func skipValue(depth: Int) -> Bool {
        // Whoever nests deeper wants to see our stack end.
        if depth > 64 { return false }
        skipBlanks()
        switch next {
        case UInt8(ascii: "\""): return skipString()
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            let isObject = next == UInt8(ascii: "{")
            let close: Unicode.Scalar = isObject ? "}" : "]"
            at += 1
            if skip(close, in: ()) { return true }
            repeat {
                if isObject {
                    skipBlanks()
                    guard next == UInt8(ascii: "\""), skipString(), skip(":", in: ()) else { return false }
                }
                guard skipValue(depth: depth + 1) else { return false }
            } while skip(",", in: ())
            return skip(close, in: ())
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
