/// An error in a value: what is wrong, where, and what to write instead.
struct Malformed: Error {
    var reason: ByteString
    /// Bytes from the value's start to the part that is wrong.
    var offset = 0
    var remedy: ByteString?

    @inline(never)
    init(_ reason: ByteString, at offset: Int = 0, remedy: ByteString? = nil) {
        self.reason = reason
        self.offset = offset
        self.remedy = remedy
    }

    /// Reports a word that is not in `known`: `unknown dialect 'x'; use systemd, nginx or adopt`, or `…; did you mean
    /// systemd?` if it is similar to one of them.
    @inline(never)
    static func unknown(
        _ what: ByteString, _ word: ByteString, known: [ByteString], at offset: Int = 0
    ) -> Malformed {
        Malformed("unknown \(what) '\(word)'", at: offset, remedy: suggestion(for: word, among: known))
    }

    /// The same error in a value that contains this one `distance` bytes from its start.
    func moved(by distance: Int) -> Malformed { Malformed(reason, at: offset + distance, remedy: remedy) }
}

/// Writes `did you mean nginx?` if one of the words is similar to `word`, otherwise `use nginx, systemd or adopt`.
func suggestion(for word: ByteString, among known: [ByteString], else other: ByteString? = nil) -> ByteString {
    nearest(to: word, among: known).map { "did you mean \($0)?" } ?? other ?? "use \(alternatives(known))"
}

/// Writes `a, b or c`.
func alternatives(_ words: [ByteString]) -> ByteString {
    guard words.count > 1 else { return words.first ?? "" }
    return "\(joined(Array(words.dropLast()), by: ", ")) or \(words[words.count - 1])"
}

/// Parses a part of a value; the offsets of its errors count from the start of the whole value.
@inline(__always)
func part<Result>(
    at distance: Int, _ parse: () throws(Malformed) -> Result
) throws(Malformed) -> Result {
    do throws(Malformed) {
        return try parse()
    } catch {
        throw error.moved(by: distance)
    }
}
