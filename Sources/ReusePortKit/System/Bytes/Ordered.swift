extension Array {
    /// Returns the elements sorted; equal ones keep their order. Sorts indices, not elements, so that the program
    /// contains the algorithm only once.
    func ordered(by precedes: (Element, Element) -> Bool) -> [Element] {
        places(count) { precedes(self[$0], self[$1]) }.map { self[$0] }
    }
}

/// Sorts the indices of `count` elements by merging; equal elements keep their order.
@inline(never)
private func places(_ count: Int, _ precedes: (Int, Int) -> Bool) -> [Int] {
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
                if left < middle && (right == end || !precedes(places[right], places[left])) {
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
