import CLinux

/// Shows what a helper is doing where ps(1) and top(1) look: over its arguments, and as the name of its process.
struct ProcessTitle {
    private let start: UnsafeMutablePointer<CChar>?
    private let capacity: Int

    /// The room that arguments and environment have: they lie one behind the other.
    init() {
        start = clinux_title_start()
        guard let start, var entry = clinux_environ(), entry.pointee != nil else {
            capacity = start.map { strlen($0) } ?? 0
            return
        }
        var end = start
        while let text = entry.pointee {
            // What setenv(3) made lies elsewhere.
            if text >= end, text - end < 1 << 20 {
                end = text + strlen(text)
                // The variables themselves stay: a command that tells of readiness is given them.
                entry.pointee = strdup(text)
            }
            entry += 1
        }
        capacity = end - start
    }

    func show(_ text: ByteString) {
        text.withCString { _ = clinux_prctl(PR_SET_NAME, UInt(bitPattern: $0), 0, 0, 0) }
        guard let start, capacity > 1 else { return }
        memset(start, 0, capacity)
        for (index, byte) in text.bytes.prefix(capacity - 1).enumerated() { start[index] = CChar(bitPattern: byte) }
    }
}
