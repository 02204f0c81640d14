/// Splits a command into words like a shell: at blanks, with '…', "…" and backslashes as quotes. Expands nothing.
func splitWords(_ text: ByteString) throws(Malformed) -> [ByteString] {
    var words: [ByteString] = []
    var word: ByteString?
    var quote: (mark: UInt8, at: Int)?
    var index = 0
    while index < text.count {
        let byte = text.bytes[index]
        index += 1
        if let open = quote {
            if byte == open.mark {
                quote = nil
            } else if byte == UInt8(ascii: "\\"), open.mark == UInt8(ascii: "\""), index < text.count,
                text.bytes[index] == UInt8(ascii: "\"") || text.bytes[index] == UInt8(ascii: "\\")
            {
                word!.append(text.bytes[index])
                index += 1
            } else {
                word!.append(byte)
            }
        } else if isBlank(byte) {
            if let finished = word { words.append(finished) }
            word = nil
        } else {
            if word == nil { word = "" }
            if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
                quote = (byte, index - 1)
            } else if byte == UInt8(ascii: "\\") {
                guard index < text.count else { throw Malformed("nothing follows the backslash", at: index - 1) }
                word!.append(text.bytes[index])
                index += 1
            } else {
                word!.append(byte)
            }
        }
    }
    if let quote { throw Malformed("the quote is not closed", at: quote.at) }
    if let word { words.append(word) }
    return words
}
