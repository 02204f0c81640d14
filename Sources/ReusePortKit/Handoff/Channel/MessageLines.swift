/// Cuts what comes through a Node channel into lines, each of them a message. A read may bring a piece of a line, or
/// several lines.
struct MessageLines {
    /// Longer lines are dropped: no message about readiness or listeners is as long as this.
    static let longest = 1 << 16

    private var line = ByteString()
    private var isTooLong = false

    /// Adds bytes, and returns the lines that are complete now, without their ends.
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

    /// Drops the line that has begun: the rest of it was lost.
    mutating func forget() {
        line = ByteString()
        isTooLong = false
    }
}
