// Asking whether there is a value looks at that alone. The standard library has these for all types as well, but for
// equatable ones its comparison of two optionals is chosen, which compares, and so is compiled, to the last member.
extension Optional where Wrapped: Equatable {
    @inline(__always)
    static func == (value: Wrapped?, none: _OptionalNilComparisonType) -> Bool {
        if case .none = value { true } else { false }
    }

    @inline(__always)
    static func != (value: Wrapped?, none: _OptionalNilComparisonType) -> Bool {
        if case .none = value { false } else { true }
    }
}
