extension ByteString {
    /// The text for one line on a terminal: control bytes, and bytes that are not UTF-8, become escapes.
    public var printable: ByteString {
        let isText = isUTF8
        var result = ByteString()
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\n"): result.append("\\n")
            case UInt8(ascii: "\t"): result.append("\\t")
            case UInt8(ascii: "\r"): result.append("\\r")
            case 0..<0x20, 0x7F: result.append(hexEscape(byte))
            case 0x80...: if isText { result.append(byte) } else { result.append(hexEscape(byte)) }
            default: result.append(byte)
            }
        }
        return result
    }

    /// Whether the bytes are well-formed UTF-8 without C1 control characters.
    public var isUTF8: Bool {
        var index = 0
        while index < bytes.count {
            let lead = bytes[index]
            let length: Int
            switch lead {
            case 0..<0x80: length = 1
            case 0xC2..<0xE0: length = 2
            case 0xE0..<0xF0: length = 3
            case 0xF0..<0xF5: length = 4
            default: return false
            }
            guard index + length <= bytes.count else { return false }
            var offset = 1
            while offset < length {
                if bytes[index + offset] & 0xC0 != 0x80 { return false }
                offset += 1
            }
            if length > 1 {
                let second = bytes[index + 1]
                // Rejects overlong forms, surrogates, values above U+10FFFF, and the C1 controls U+0080…U+009F.
                if lead == 0xE0 && second < 0xA0 || lead == 0xED && second >= 0xA0 { return false }
                if lead == 0xF0 && second < 0x90 || lead == 0xF4 && second >= 0x90 { return false }
                if lead == 0xC2 && second < 0xA0 { return false }
            }
            index += length
        }
        return true
    }

    private func hexEscape(_ byte: UInt8) -> ByteString {
        ByteString([UInt8(ascii: "\\"), UInt8(ascii: "x"), hexDigit(byte >> 4), hexDigit(byte & 15)])
    }
}

/// The lower-case hexadecimal digit of a number below 16.
func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10 }
