/// Reads the value of `--ready`: `accept`, `http:NAME:/path`, `https:NAME:/path`, `notify`, `ipc`, `ack`, `fd:N`,
/// `exec:CMD` or `none`.
func parseReadiness(_ text: ByteString) throws(Malformed) -> Readiness {
    switch text {
    case "accept": return .accept
    case "notify": return .notify
    case "none": return .none
    case "ipc": return .message
    case "ack": return .acknowledgement
    default: break
    }
    if text.hasPrefix("http:") { return .http(try parseCheck(text, 5)) }
    if text.hasPrefix("https:") {
        var check = try parseCheck(text, 6)
        check.isTLS = true
        return .http(check)
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
        known: [
            "accept", "http:NAME:/path", "https:NAME:/path", "notify", "ipc", "ack", "fd:N", "exec:COMMAND", "none",
        ])
}

/// Reads `NAME:/path[,host=NAME][,status=CODE[-CODE]][,proxy[=2]]` behind the scheme.
private func parseCheck(_ text: ByteString, _ start: Int) throws(Malformed) -> HTTPCheck {
    if text.hasBytes("//", at: start) {
        let rest = text.dropFirst(start + 2)
        throw Malformed(
            "a URL does not name the socket", at: start,
            remedy: "write \(text.prefix(start))http:/\(rest.cut(at: UInt8(ascii: "/"))?.tail ?? "")")
    }
    guard let (name, rest) = text.dropFirst(start).cut(at: UInt8(ascii: ":")), !name.isEmpty else {
        throw Malformed("the socket's name or the path is missing", at: start, remedy: "write http:NAME:/path")
    }
    var offset = start + name.count + 1
    guard rest.hasPrefix("/") else {
        throw Malformed("the path does not begin with a slash", at: offset, remedy: "write http:\(name):/path")
    }
    // A blank would end the path in the request line.
    for (index, byte) in rest.bytes.enumerated() where byte <= 0x20 || byte == 0x7F {
        throw Malformed("the path has a blank or a control character", at: offset + index, remedy: "write %20")
    }
    let words = rest.split(on: UInt8(ascii: ","))
    var check = HTTPCheck(text: text, socket: name, path: words[0])
    for index in 1..<words.count {
        offset += words[index - 1].count + 1
        if !check.apply(words[index]) {
            throw Malformed(
                "'\(words[index])' is no option of a request", at: offset,
                remedy: "use host=NAME, status=CODE, proxy or proxy=2; a comma in a path is %2C")
        }
    }
    return check
}

extension HTTPCheck {
    /// Applies one of the comma-separated options; false if it is none.
    fileprivate mutating func apply(_ word: ByteString) -> Bool {
        let pair = word.cut(at: UInt8(ascii: "="))
        let value = pair?.tail ?? "1"
        switch pair?.head ?? word {
        case "host" where pair != nil: host = value
        case "status":
            let range = value.cut(at: UInt8(ascii: "-"))
            lowestStatus = (range?.head ?? value).decimal ?? 0
            highestStatus = (range?.tail ?? value).decimal ?? 0
            return lowestStatus >= 100 && highestStatus >= lowestStatus
        case "proxy":
            proxy = value.decimal ?? 0
            return proxy == 1 || proxy == 2
        default: return false
        }
        return !host.isEmpty
    }
}
