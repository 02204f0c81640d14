extension Array {
    /// Sorts stably. Sorts indices and not elements, so that the program contains the algorithm once and not for each
    /// type of element.
    func ordered(by precedes: @escaping (Element, Element) -> Bool) -> [Element] {
        places(count, Precedence(holds: { precedes(self[$0], self[$1]) })).map { self[$0] }
    }
}

/// Which of two indices comes first. An object, because the compiler makes a copy of a function for each closure that
/// it is called with, and sorting is called with a dozen: saves 4 kB.
private final class Precedence {
    let holds: (Int, Int) -> Bool

    init(holds: @escaping (Int, Int) -> Bool) { self.holds = holds }
}

/// Sorts the indices of `count` elements by merging; equal elements keep their order.
@inline(never)
private func places(_ count: Int, _ precedence: Precedence) -> [Int] {
    var places = Array(0..<count)
    var merged = places
    var width = 1
    while width < count {
        var start = 0
        while start < count {
            let middle = Swift.min(start + width, count)
            let end = Swift.min(middle + width, count)
            var (left, right) = (start, middle)
            for place in start..<end {
                if left < middle && (right == end || !precedence.holds(places[right], places[left])) {
                    merged[place] = places[left]
                    left += 1
                } else {
                    merged[place] = places[right]
                    right += 1
                }
            }
            start = end
        }
        swap(&places, &merged)
        width *= 2
    }
    return places
}
