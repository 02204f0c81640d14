/// Returns the candidate most similar to `word`, if it is similar enough to be what the user meant to type.
func nearest(to word: ByteString, among candidates: [ByteString]) -> ByteString? {
    var best: (candidate: ByteString, distance: Int)?
    for candidate in candidates {
        let distance = editDistance(word, candidate)
        if best == nil || distance < best!.distance { best = (candidate, distance) }
    }
    guard let best, best.distance <= max(2, word.count / 3) else { return nil }
    return best.candidate
}

/// Counts insertions, deletions, replacements and swaps of neighbours (optimal string alignment distance).
private func editDistance(_ a: ByteString, _ b: ByteString) -> Int {
    guard a.count <= 64, b.count <= 64 else { return Int.max }
    var older: [Int] = []
    var previous = Array(0...b.count)
    for (i, byte) in a.bytes.enumerated() {
        var row = [i + 1]
        for (j, other) in b.bytes.enumerated() {
            var cost = min(previous[j] + (byte == other ? 0 : 1), previous[j + 1] + 1, row[j] + 1)
            if i > 0, j > 0, byte == b.bytes[j - 1], a.bytes[i - 1] == other { cost = min(cost, older[j - 1] + 1) }
            row.append(cost)
        }
        older = previous
        previous = row
    }
    return previous[b.count]
}
