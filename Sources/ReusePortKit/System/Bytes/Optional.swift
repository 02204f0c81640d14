// Makes `== nil` look only at whether there is a value. For equatable types the compiler would otherwise choose the
// comparison of two optionals and generate code that compares every member. Saves 4 kB.
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
