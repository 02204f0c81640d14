/// The working directory, as messages and relative paths need it.
func currentDirectory() throws(Failure) -> ByteString {
    try step("find", "the working directory") { () throws(Errno) in try workingDirectory() }
}
