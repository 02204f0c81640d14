extension Array {
    /// Adds one behind the others. It is found before the standard library's, which becomes part of every caller with
    /// all of its growing.
    @inline(never)
    mutating func append(_ element: __owned Element) { addOne(element, to: &self) }
}

/// Calls the collection's own `append`.
@inline(__always)
private func addOne<Values: RangeReplaceableCollection>(_ element: __owned Values.Element, to values: inout Values) {
    values.append(element)
}
