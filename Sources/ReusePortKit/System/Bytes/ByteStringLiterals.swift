import CLinux

// A literal is handed on as one address where size matters, the zero byte behind it being its end, and where it is only
// looked at or copied, no array is made of it: there are two thousand, so every instruction spent on one counts. So in
// Embedded Swift a zero byte ends a literal; `make check` sees that there is none in ours.
#if hasFeature(Embedded)
    typealias Literal = UnsafePointer<UInt8>
#else
    typealias Literal = UnsafeBufferPointer<UInt8>
#endif

extension StaticString {
    /// Where the literal's bytes are.
    @inline(__always)
    var start: Literal {
        #if hasFeature(Embedded)
            return unsafe utf8Start
        #else
            return unsafe Literal(start: utf8Start, count: utf8CodeUnitCount)
        #endif
    }
}

@inline(__always)
private func bytes(at literal: Literal) -> UnsafeBufferPointer<UInt8> {
    #if hasFeature(Embedded)
        let count = unsafe strlen(UnsafeRawPointer(literal).assumingMemoryBound(to: CChar.self))
        return unsafe UnsafeBufferPointer(start: literal, count: count)
    #else
        return unsafe literal
    #endif
}

extension ByteString: ExpressibleByStringInterpolation {
    /// The UTF-8 of a literal.
    @inline(__always)
    public init(stringLiteral literal: StaticString) { self = unsafe ByteString(literal: literal.start) }

    /// The bytes of a literal.
    @inline(never)
    init(literal: Literal) { self.bytes = unsafe Array(ReusePortKit.bytes(at: literal)) }

    /// A literal with what is filled in.
    @inline(__always)
    public init(stringInterpolation interpolation: Interpolation) { self = interpolation.result }

    /// What is collected while a literal is filled in.
    public struct Interpolation: StringInterpolationProtocol {
        var result: ByteString

        /// Nothing is known of the values' lengths, so the room for them is left to the first part.
        @inline(__always)
        public init(literalCapacity: Int, interpolationCount: Int) { result = ByteString() }

        /// Adds a part of the literal; there is an empty one between two values, and at the ends.
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

    /// Adds the UTF-8 of a literal.
    @inline(__always)
    public mutating func append(_ literal: StaticString) { unsafe append(literal: literal.start) }

    /// Adds the bytes of a literal.
    @inline(never)
    mutating func append(literal: Literal) {
        unsafe bytes.append(contentsOf: ReusePortKit.bytes(at: literal))
    }

    /// Whether the bytes are the same.
    @inline(never) @_disfavoredOverload
    public static func == (one: ByteString, other: ByteString) -> Bool {
        one.count == other.count && one.hasBytes(other, at: 0)
    }

    /// Whether the bytes are those of a literal.
    @inline(__always)
    public static func == (text: ByteString, literal: StaticString) -> Bool {
        unsafe text.equals(literal.start)
    }

    /// Whether the bytes are others than those of a literal.
    @inline(__always)
    public static func != (text: ByteString, literal: StaticString) -> Bool { !(text == literal) }

    /// Whether the bytes are those of a literal, in a `case`.
    @inline(__always)
    public static func ~= (literal: StaticString, text: ByteString) -> Bool { text == literal }

    /// Whether they begin with a literal.
    @inline(__always)
    public func hasPrefix(_ prefix: StaticString) -> Bool { unsafe begins(with: prefix.start) }

    /// Whether they end with a literal.
    @inline(__always)
    public func hasSuffix(_ suffix: StaticString) -> Bool { unsafe ends(with: suffix.start) }

    @inline(never)
    func ends(with literal: Literal) -> Bool { hasSuffix(unsafe ByteString(literal: literal)) }

    @inline(never)
    func equals(_ literal: Literal) -> Bool {
        unsafe bytes.elementsEqual(ReusePortKit.bytes(at: literal))
    }

    @inline(never)
    func begins(with literal: Literal) -> Bool {
        unsafe bytes.starts(with: ReusePortKit.bytes(at: literal))
    }
}
