/// write(2) to standard output, all of it.
func write(_ text: ByteString) throws(Failure) {
    try step("write to", "standard output") { () throws(Errno) in try writeAll(text, to: 1) }
}
