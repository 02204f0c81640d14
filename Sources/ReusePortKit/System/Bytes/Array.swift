// What the standard library has as well, but makes part of every caller, with all of its growing and reserving. These
// are found first, and are a fraction of the size.
extension Array {
    /// Adds one behind the others.
    @inline(never)
    mutating func append(_ element: __owned Element) { addOne(element, to: &self) }

    /// Adds others behind these.
    @inline(never)
    mutating func append(contentsOf others: [Element]) { for element in others { append(element) } }

    static func += (these: inout [Element], others: [Element]) { these.append(contentsOf: others) }

    @inline(never)
    static func + (these: [Element], others: [Element]) -> [Element] {
        var result = these
        result.append(contentsOf: others)
        return result
    }

    /// What becomes of each.
    func map<Value, Problem: Error>(_ transform: (Element) throws(Problem) -> Value) throws(Problem) -> [Value] {
        var result: [Value] = []
        for element in self { result.append(try transform(element)) }
        return result
    }

    /// What becomes of each, where it becomes anything.
    func compactMap<Value, Problem: Error>(
        _ transform: (Element) throws(Problem) -> Value?
    ) throws(Problem) -> [Value] {
        var result: [Value] = []
        for element in self {
            if let value = try transform(element) { result.append(value) }
        }
        return result
    }

    /// Those that are chosen.
    func filter(_ isChosen: (Element) -> Bool) -> [Element] {
        var result: [Element] = []
        for element in self where isChosen(element) { result.append(element) }
        return result
    }
}

/// Calls the collection's own `append`.
@inline(__always)
private func addOne<Values: RangeReplaceableCollection>(_ element: __owned Values.Element, to values: inout Values) {
    values.append(element)
}

/// Calls the collection's own `append(contentsOf:)`, which copies bytes at once.
@inline(__always)
func addAll<Values: RangeReplaceableCollection>(_ others: some Sequence<Values.Element>, to values: inout Values) {
    values.append(contentsOf: others)
}
