import CLinux

// Literals are passed on by their address, so that comparing or appending one makes no array of it. The compiler ends
// them with a zero byte: without a length at each of some 2,700 places the program is 8 kB smaller.
typealias Literal = UnsafePointer<UInt8>

extension StaticString {
    /// The literal's bytes, which contain no zero byte.
    @inline(__always)
    var start: Literal {
        assert(unsafe strlen(UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self)) == utf8CodeUnitCount)
        return unsafe utf8Start
    }
}

/// The bytes of a literal, and their number.
private func literalBytes(_ literal: Literal) -> UnsafeBufferPointer<UInt8> {
    let text = unsafe UnsafeRawPointer(literal).assumingMemoryBound(to: CChar.self)
    return unsafe UnsafeBufferPointer(start: literal, count: strlen(text))
}

extension ByteString: ExpressibleByStringInterpolation {
    /// Copies the UTF-8 of a literal.
    @inline(__always)
    public init(stringLiteral literal: StaticString) { self = unsafe ByteString(literal: literal.start) }

    /// Copies the bytes at an address.
    @inline(never)
    init(literal: Literal) { self.bytes = unsafe Array(literalBytes(literal)) }

    /// Takes the result of an interpolation.
    @inline(__always)
    public init(stringInterpolation interpolation: Interpolation) { self = interpolation.result }

    /// Collects the parts of an interpolation.
    public struct Interpolation: StringInterpolationProtocol {
        var result: ByteString

        /// Reserves nothing, because the lengths of the values are not known.
        @inline(__always)
        public init(literalCapacity: Int, interpolationCount: Int) { result = ByteString() }

        /// Adds a part of the literal, which is empty between two adjacent values and at the ends.
        @inline(__always)
        public mutating func appendLiteral(_ literal: StaticString) {
            if literal.utf8CodeUnitCount > 0 { unsafe result.append(literal: literal.start) }
        }

        /// Adds bytes as they are.
        @inline(__always)
        public mutating func appendInterpolation(_ value: ByteString) { result.append(value) }

        /// Adds a number in decimal.
        @inline(__always)
        public mutating func appendInterpolation<Number: FixedWidthInteger>(_ value: Number) {
            result.append(decimal: value)
        }
    }

    /// Adds the UTF-8 of a literal at the end.
    @inline(__always)
    public mutating func append(_ literal: StaticString) { unsafe append(literal: literal.start) }

    /// Adds the bytes at an address at the end.
    @inline(never)
    mutating func append(literal: Literal) { unsafe bytes.append(contentsOf: literalBytes(literal)) }

    /// Compares the bytes.
    @inline(never) @_disfavoredOverload
    public static func == (one: ByteString, other: ByteString) -> Bool {
        one.count == other.count && one.hasBytes(other, at: 0)
    }

    /// Compares the bytes with a literal.
    @inline(__always)
    public static func == (text: ByteString, literal: StaticString) -> Bool {
        unsafe text.equals(literal.start)
    }

    /// Compares the bytes with a literal.
    @inline(__always)
    public static func != (text: ByteString, literal: StaticString) -> Bool { !(text == literal) }

    /// Compares the bytes with a literal in a `case`.
    @inline(__always)
    public static func ~= (literal: StaticString, text: ByteString) -> Bool { text == literal }

    /// Returns whether the bytes begin with a literal.
    @inline(__always)
    public func hasPrefix(_ prefix: StaticString) -> Bool { unsafe begins(with: prefix.start) }

    /// Returns whether the bytes end with a literal.
    public func hasSuffix(_ suffix: StaticString) -> Bool { hasSuffix(unsafe ByteString(literal: suffix.start)) }

    @inline(never)
    func equals(_ literal: Literal) -> Bool { unsafe bytes.elementsEqual(literalBytes(literal)) }

    @inline(never)
    func begins(with literal: Literal) -> Bool { unsafe bytes.starts(with: literalBytes(literal)) }
}
