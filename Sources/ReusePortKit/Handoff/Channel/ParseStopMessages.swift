/// Reads `--stop-message`, which is sent through the Node channel instead of a stop signal: words with commas between
/// them (`shutdown`, `stop,quit`), each of which is a message, or one message written as JSON. Returns JSON, a line for
/// each message.
func parseStopMessages(_ text: ByteString) throws(Malformed) -> ByteString {
    // JSON is an object, an array or a string here. Anything else is a word, even a number.
    if let first = text.bytes.first, ByteString("{[\"").contains(first) {
        guard isJSON(text), !text.contains(UInt8(ascii: "\n")) else {
            throw Malformed("this is not JSON in one line", remedy: "write a word, or JSON like {\"event\":\"stop\"}")
        }
        return text
    }
    let words = text.split(on: UInt8(ascii: ","))
    if words.contains(where: { $0.isEmpty }) { throw Malformed("a message is empty") }
    return joined(words.map { json($0) }, by: "\n")
}
