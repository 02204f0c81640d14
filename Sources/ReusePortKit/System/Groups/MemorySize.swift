/// Reads a number of bytes: `512K`, `64M`, `1G`, `2T`, or without a unit. Units are powers of 1024.
func parseMemorySize(_ text: ByteString) throws(Malformed) -> UInt64 {
    var digits = text
    var shift = 0
    if let last = text.bytes.last, let index = units.firstIndex(of: last) {
        digits = text.prefix(text.count - 1)
        shift = 10 * (index + 1)
    }
    // The kernel's counters end at 2^63.
    guard let number = digits.decimal, number <= UInt64(Int64.max) >> UInt64(shift) else {
        throw Malformed("'\(text)' is not a size", remedy: "write 64M, 1G or a number of bytes")
    }
    if number == 0 { throw Malformed("nothing runs without memory", remedy: "write a size above 0") }
    return number << UInt64(shift)
}

/// Writes a number of bytes in the largest unit that divides it.
func memorySize(_ bytes: UInt64) -> ByteString {
    var number = bytes
    var unit: UInt8?
    for next in units {
        guard number > 0, number & 1023 == 0 else { break }
        (number, unit) = (number >> 10, next)
    }
    var text = ByteString(decimal: number)
    if let unit { text.append(unit) }
    return text
}

private let units: [UInt8] = [UInt8(ascii: "K"), UInt8(ascii: "M"), UInt8(ascii: "G"), UInt8(ascii: "T")]
