import CLinux

/// A run of bytes that is usually, but not always, text: an argument, a path, a name, a message.
///
/// To the kernel, arguments and environments are bytes, and they must be passed on unchanged. `String` would replace
/// bytes that are not UTF-8. Literals and interpolations look like those of `String`.
public struct ByteString: Hashable, Sendable {
    /// The bytes, in order.
    public var bytes: [UInt8]

    /// Makes an empty byte string.
    public init() { bytes = [] }
    /// Wraps bytes.
    public init(_ bytes: [UInt8]) { self.bytes = bytes }
    /// Copies bytes.
    public init(_ bytes: ArraySlice<UInt8>) { self.bytes = Array(bytes) }
    /// Copies the UTF-8 of a string.
    public init(_ string: String) { bytes = Array(string.utf8) }

    /// Copies a C string, without its final zero byte.
    @inline(never)
    public init(cString: UnsafePointer<CChar>) {
        let count = strlen(cString)
        bytes = unsafe cString.withMemoryRebound(to: UInt8.self, capacity: count) { start in
            Array(UnsafeBufferPointer(start: start, count: count))
        }
    }

    /// Spells a number in decimal.
    public init<Number: FixedWidthInteger>(decimal number: Number) {
        bytes = []
        append(decimal: number)
    }

    /// Spells a number in octal, as file modes are written.
    public init(octal number: UInt32) {
        var digits: [UInt8] = []
        var rest = number
        repeat {
            digits.append(UInt8(ascii: "0") + UInt8(rest & 7))
            rest >>= 3
        } while rest > 0
        bytes = digits.reversed()
    }

    /// The number of bytes.
    public var count: Int { bytes.count }
    /// Whether there are none.
    public var isEmpty: Bool { bytes.isEmpty }

    /// Adds other bytes at the end.
    @inline(never) @_disfavoredOverload
    public mutating func append(_ other: ByteString) { addAll(other.bytes, to: &bytes) }
    /// Adds a byte at the end.
    @inline(never)
    public mutating func append(_ byte: UInt8) { bytes.append(byte) }

    /// Adds a number in decimal at the end.
    @inline(__always)
    public mutating func append<Number: FixedWidthInteger>(decimal number: Number) {
        // Uses one function for all widths of integers, so that it is compiled once.
        if Number.isSigned {
            appendSigned(Int64(truncatingIfNeeded: number))
        } else {
            appendUnsigned(UInt64(truncatingIfNeeded: number))
        }
    }

    /// Not inlined into each interpolation of a number: saves 5 kB.
    @inline(never)
    private mutating func appendSigned(_ number: Int64) {
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        appendUnsigned(number.magnitude)
    }

    private mutating func appendUnsigned(_ number: UInt64) {
        var digits: [UInt8] = []
        var rest = number
        repeat {
            digits.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest > 0
        for digit in digits.reversed() { bytes.append(digit) }
    }

    /// Calls `body` with a C string of the bytes.
    @inline(__always) @discardableResult
    public func withCString<Result, Problem: Error>(
        _ body: (UnsafePointer<CChar>) throws(Problem) -> Result
    ) throws(Problem) -> Result {
        try unsafe terminated.withUnsafeBufferPointer { buffer throws(Problem) in
            let start = UnsafeRawPointer(buffer.baseAddress!).assumingMemoryBound(to: CChar.self)
            return try body(start)
        }
    }

    @inline(never)
    private var terminated: [UInt8] {
        var terminated = bytes
        terminated.append(0)
        return terminated
    }
}

// MARK: - Taking apart

extension ByteString {
    /// Returns the index of the first `byte` from `start` on.
    @inline(never)
    public func firstIndex(of byte: UInt8, from start: Int = 0) -> Int? {
        var index = start
        while index < bytes.count {
            if bytes[index] == byte { return index }
            index += 1
        }
        return nil
    }

    /// Returns the index of the last `byte`.
    public func lastIndex(of byte: UInt8) -> Int? { bytes.lastIndex(of: byte) }

    /// Returns whether `byte` occurs.
    public func contains(_ byte: UInt8) -> Bool { firstIndex(of: byte) != nil }

    /// Returns whether the bytes begin with `prefix`.
    @_disfavoredOverload
    public func hasPrefix(_ prefix: ByteString) -> Bool { hasBytes(prefix, at: 0) }

    /// Returns whether the bytes end with `suffix`.
    @_disfavoredOverload
    public func hasSuffix(_ suffix: ByteString) -> Bool {
        suffix.count <= count && hasBytes(suffix, at: count - suffix.count)
    }

    /// Returns whether `part` occurs.
    @inline(never)
    func contains(_ part: ByteString) -> Bool {
        var index = 0
        while index < count {
            if hasBytes(part, at: index) { return true }
            index += 1
        }
        return false
    }

    /// Returns whether `part` stands at `offset`.
    @inline(never)
    public func hasBytes(_ part: ByteString, at offset: Int) -> Bool {
        guard offset >= 0, offset + part.count <= count else { return false }
        var index = 0
        while index < part.count {
            if bytes[offset + index] != part.bytes[index] { return false }
            index += 1
        }
        return true
    }

    /// Returns whether these bytes sort before `other`.
    func precedes(_ other: ByteString) -> Bool { bytes.lexicographicallyPrecedes(other.bytes) }

    /// Returns the first bytes, at most `length`.
    @inline(never)
    public func prefix(_ length: Int) -> ByteString { ByteString(bytes.prefix(length)) }
    /// Returns all but the first `length` bytes.
    @inline(never)
    public func dropFirst(_ length: Int) -> ByteString { ByteString(bytes.dropFirst(length)) }
    /// Returns the bytes in a range, which must be within bounds.
    @inline(never)
    public subscript(range: Range<Int>) -> ByteString { ByteString(bytes[range]) }

    /// Returns the parts between separators, including empty ones: one more than there are separators.
    @inline(never)
    public func split(on separator: UInt8) -> [ByteString] {
        var parts: [ByteString] = []
        var start = 0
        var index = 0
        while index < bytes.count {
            if bytes[index] == separator {
                parts.append(self[start..<index])
                start = index + 1
            }
            index += 1
        }
        parts.append(self[start..<bytes.count])
        return parts
    }

    /// Returns the bytes before and after the first `separator`; nil if there is none.
    @inline(never)
    public func cut(at separator: UInt8) -> (head: ByteString, tail: ByteString)? {
        guard let index = firstIndex(of: separator) else { return nil }
        return (prefix(index), dropFirst(index + 1))
    }

    /// Replaces each `part` with `other`.
    func replacing(_ part: ByteString, with other: ByteString) -> ByteString {
        var result = ByteString()
        var index = 0
        while index < count {
            if !part.isEmpty, hasBytes(part, at: index) {
                result.append(other)
                index += part.count
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return result
    }

    /// The bytes without blanks and tabs at both ends.
    @inline(never)
    public var trimmed: ByteString {
        var start = 0
        var end = bytes.count
        while start < end, isBlank(bytes[start]) { start += 1 }
        while end > start, isBlank(bytes[end - 1]) { end -= 1 }
        return self[start..<end]
    }

    /// The number spelled in decimal digits; nil if there is anything else or it does not fit.
    @inline(never)
    public var decimal: UInt64? { number(radix: 10) }

    /// The number spelled in octal digits; nil if there is anything else or it does not fit.
    public var octal: UInt64? { number(radix: 8) }

    @inline(never)
    private func number(radix: UInt64) -> UInt64? {
        guard !bytes.isEmpty else { return nil }
        var result: UInt64 = 0
        for byte in bytes {
            guard byte >= UInt8(ascii: "0"), UInt64(byte) < UInt64(UInt8(ascii: "0")) + radix else { return nil }
            let (product, tooLarge) = result.multipliedReportingOverflow(by: radix)
            let (sum, overflow) = product.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
            guard !tooLarge, !overflow else { return nil }
            result = sum
        }
        return result
    }
}

func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

/// Joins `parts` with `separator` between them.
func joined(_ parts: [ByteString], by separator: ByteString) -> ByteString {
    var result = ByteString()
    var first = true
    for part in parts {
        if !first { result.append(separator) }
        result.append(part)
        first = false
    }
    return result
}
