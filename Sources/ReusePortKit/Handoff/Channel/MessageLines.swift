/// Cuts what comes through a Node channel into lines, each a message. Lines may come in pieces, and several at once.
struct MessageLines {
    /// Nothing that tells of readiness, or asks for a listener, is as long as this.
    static let longest = 1 << 16

    private var line = ByteString()
    private var isTooLong = false

    /// The lines that are whole by now, without their ends; those that are too long are left out.
    mutating func take(_ bytes: ArraySlice<UInt8>) -> [ByteString] {
        var result: [ByteString] = []
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                if !isTooLong { result.append(line) }
                forget()
            } else if line.count == MessageLines.longest {
                isTooLong = true
            } else {
                line.append(byte)
            }
        }
        return result
    }

    /// The rest of a message was lost.
    mutating func forget() {
        line = ByteString()
        isTooLong = false
    }
}
