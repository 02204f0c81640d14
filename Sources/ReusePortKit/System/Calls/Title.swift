import CLinux

/// Shows what a process is doing in ps(1) and top(1): overwrites its arguments, and sets its name.
struct ProcessTitle {
    private let start: UnsafeMutablePointer<CChar>?
    private let capacity: Int

    /// Measures the memory of the arguments and of the environment, which follows them directly.
    init() {
        start = clinux_title_start()
        guard let start, var entry = clinux_environ(), entry.pointee != nil else {
            capacity = start.map { strlen($0) } ?? 0
            return
        }
        var end = start
        while let text = entry.pointee {
            // Skips variables of setenv(3), which are stored elsewhere.
            if text >= end, text - end < 1 << 20 {
                end = text + strlen(text)
                // Copies the variable before it is overwritten: readiness commands get this environment.
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
