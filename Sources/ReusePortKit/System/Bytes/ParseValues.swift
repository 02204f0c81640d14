/// Reads a name that is also the name of a file: letters, digits, dots, hyphens and underscores.
func parseLabel(_ text: ByteString, _ what: ByteString) throws(Malformed) -> ByteString {
    let isPlain = text.bytes.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
    guard isPlain, !text.isEmpty, text.count <= 64, text.bytes[0] != UInt8(ascii: "."),
        text.bytes[0] != UInt8(ascii: "-")
    else {
        throw Malformed(
            "'\(text)' is no name", remedy: "\(what) has up to 64 letters, digits, dots, hyphens and underscores")
    }
    return text
}

/// Reads a decimal number within limits.
@inline(never)
func parseNumber(_ text: ByteString, _ range: ClosedRange<Int>) throws(Malformed) -> Int {
    guard let number = text.decimal, number <= UInt64(range.upperBound), number >= UInt64(range.lowerBound) else {
        throw Malformed("'\(text)' is not a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return Int(number)
}

/// Reads permission bits, in octal.
func parseMode(_ text: ByteString) throws(Malformed) -> UInt32 {
    guard let mode = text.octal, mode <= 0o777 else {
        throw Malformed("'\(text)' is no mode", remedy: "write it in octal, 0 to 777")
    }
    return UInt32(mode)
}

/// Reads a descriptor's number.
func parseDescriptor(_ text: ByteString) throws(Malformed) -> Int32 {
    // The kernel limits fs.nr_open, and so all descriptors, to a little less than 2^30.
    guard let number = text.decimal, number < 1 << 30 else { throw Malformed("'\(text)' is no descriptor number") }
    return Int32(number)
}

/// Reads a nice value.
func parseNice(_ text: ByteString) throws(Malformed) -> Int32 {
    let isNegative = text.hasPrefix("-")
    guard let number = (isNegative ? text.dropFirst(1) : text).decimal, number <= (isNegative ? 20 : 19) else {
        throw Malformed("'\(text)' is no nice value", remedy: "write a number from -20 to 19")
    }
    return isNegative ? -Int32(number) : Int32(number)
}

/// Reads the path of the directory in which apps are registered.
func parseRunDirectory(_ text: ByteString) throws(Malformed) -> ByteString {
    guard text.hasPrefix("/") else { throw Malformed("'\(text)' is not an absolute path", remedy: "begin it with /") }
    return text
}

/// Reads one of several words.
func parseChoice<Choice>(
    _ what: ByteString, _ text: ByteString, _ choices: [(name: ByteString, value: Choice)]
) throws(Malformed) -> Choice {
    for choice in choices where choice.name == text { return choice.value }
    throw .unknown(what, text, known: choices.map { $0.name })
}

/// Reads any value that is not empty; `what` names it.
func parseText(_ text: ByteString, _ what: ByteString) throws(Malformed) -> ByteString {
    if text.isEmpty { throw Malformed("the \(what) is empty") }
    return text
}
