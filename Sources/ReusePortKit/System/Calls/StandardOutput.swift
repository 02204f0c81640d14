/// Writes all of a text to standard output.
func write(_ text: ByteString) throws(Failure) {
    try step("write to", "standard output") { () throws(Errno) in try writeAll(text, to: 1) }
}
