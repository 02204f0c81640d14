/// What is wrong with a value, and where in it.
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

    /// The same, seen from a value that has this one `distance` bytes behind its start.
    func moved(by distance: Int) -> Malformed { Malformed(reason, at: offset + distance, remedy: remedy) }
}
