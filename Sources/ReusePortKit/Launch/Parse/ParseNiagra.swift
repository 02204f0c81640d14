import CLinux

/// A word of a line, and its offset.
private struct Word {
    var text: ByteString
    var offset: Int
}

private func words(_ text: ByteString) -> [Word] {
    var result: [Word] = []
    var start: Int?
    for (index, byte) in text.bytes.enumerated() {
        if isBlank(byte) {
            if let from = start { result.append(Word(text: text[from..<index], offset: from)) }
            start = nil
        } else if start == nil {
            start = index
        }
    }
    if let from = start { result.append(Word(text: text[from..<text.count], offset: from)) }
    return result
}

/// Reads niagra's `NAME [secure|insecure] FAMILY HOST PORT [BACKLOG]`, where FAMILY is 4, 6 or unix; with unix, HOST is
/// a path and PORT is ignored. Nil if the line is in our own form.
func parseNiagraSocket(_ text: ByteString) throws(Malformed) -> SocketRequest? {
    var words = words(text)
    guard words.count >= 2, words[1].text == "secure" || words[1].text == "insecure" else {
        return try parseNiagraSocket(words)
    }
    let type = words.remove(at: 1)
    guard var socket = try parseNiagraSocket(words) else {
        throw Malformed("this is not NAME secure|insecure 4|6 HOST PORT [BACKLOG]", at: type.offset)
    }
    socket.niagraType = type.text
    return socket
}

private func parseNiagraSocket(_ words: [Word]) throws(Malformed) -> SocketRequest? {
    guard words.count >= 2 else { return nil }
    let address: RequestedAddress
    switch words[1].text {
    case "unix":
        guard (3...5).contains(words.count) else { throw Malformed("this is not NAME unix PATH [PORT [BACKLOG]]") }
        address = try part(at: words[2].offset) { () throws(Malformed) in try parseUnixPath(words[2].text) }
    case "4", "6": address = try parseNiagraInternetAddress(words)
    default: return nil
    }
    var socket = SocketRequest(name: words[0].text, address: address)
    if words.count == 5 {
        socket.backlog = try part(at: words[4].offset) { () throws(Malformed) in try parseBacklog(words[4].text) }
    }
    return socket
}

private func parseNiagraInternetAddress(_ words: [Word]) throws(Malformed) -> RequestedAddress {
    guard words.count == 4 || words.count == 5 else {
        throw Malformed("this is not NAME 4|6 HOST PORT [BACKLOG]")
    }
    let host = words[2]
    let isIPv6 = words[1].text == "6"
    _ = try part(at: words[3].offset) { () throws(Malformed) in try parsePort(words[3].text) }
    let written: ByteString = isIPv6 ? "[\(host.text)]:\(words[3].text)" : "\(host.text):\(words[3].text)"
    let address = try part(at: host.offset) { () throws(Malformed) in
        do throws(Malformed) {
            return try parseAddress(written)
        } catch {
            throw Malformed(error.reason, remedy: error.remedy)
        }
    }
    guard address.transport == .tcp, !address.isDualStack,
        address.address.family == (isIPv6 ? AF_INET6 : AF_INET)
    else { throw Malformed("this is no IPv\(words[1].text) address", at: host.offset) }
    return address
}

/// Reads niagra's `NAME PATH [FLAGS]`; nil if the line is in our own form.
func parseNiagraFile(_ text: ByteString) throws(Malformed) -> FileRequest? {
    let words = words(text)
    guard words.count >= 2, !words[0].text.contains(UInt8(ascii: ":")) else { return nil }
    guard words.count <= 3 else { throw Malformed("this is not NAME PATH [FLAGS]", at: words[3].offset) }
    var file = FileRequest(name: words[0].text, path: words[1].text)
    if words.count == 3 {
        try part(at: words[2].offset) { () throws(Malformed) in try file.apply(flags: words[2].text) }
    }
    return file
}
