/// Reads the value of `--ready`: `accept`, `http:NAME:/path`, `notify`, `ipc`, `fd:N`, `exec:CMD` or `none`.
func parseReadiness(_ text: ByteString) throws(Malformed) -> Readiness {
    switch text {
    case "accept": return .accept
    case "notify": return .notify
    case "none": return .none
    case "ipc": return .message
    default: break
    }
    if text.hasPrefix("http:") {
        return try part(at: 5) { () throws(Malformed) in try parseRequest(text.dropFirst(5)) }
    }
    if text.hasPrefix("fd:") {
        guard let number = text.dropFirst(3).decimal, number >= 3, number < 1 << 20 else {
            throw Malformed(
                "'\(text.dropFirst(3))' is not a descriptor", at: 3, remedy: "use a number from 3 on")
        }
        return .descriptor(Int32(number))
    }
    if text.hasPrefix("exec:") {
        let command = text.dropFirst(5)
        if command.trimmed.isEmpty { throw Malformed("the command is missing", at: 5, remedy: "write exec:COMMAND") }
        return .command(command)
    }
    throw .unknown(
        "readiness check", text,
        known: ["accept", "http:NAME:/path", "notify", "ipc", "fd:N", "exec:COMMAND", "none"])
}

/// Reads `NAME:/path`.
private func parseRequest(_ text: ByteString) throws(Malformed) -> Readiness {
    guard let (name, path) = text.cut(at: UInt8(ascii: ":")), !name.isEmpty else {
        throw Malformed("the socket's name or the path is missing", remedy: "write http:NAME:/path")
    }
    guard path.hasPrefix("/") else {
        throw Malformed("the path does not begin with a slash", at: name.count + 1, remedy: "write http:\(name):/path")
    }
    // A blank would end the path in the request line.
    for (index, byte) in path.bytes.enumerated() where byte <= 0x20 || byte == 0x7F {
        throw Malformed("the path has a blank or a control character", at: name.count + 1 + index, remedy: "write %20")
    }
    return .http(socket: name, path: path)
}
