import CLinux
import ReusePortKit

/// The parts of an HTTP/1 request that this server uses.
struct Request {
    let path: ByteString
    let query: ByteString?
    let isHead: Bool
    let wantsClose: Bool
    /// The length of head and body together.
    let length: Int

    enum Parsed {
        case complete(Request)
        case incomplete
        case malformed
    }

    /// Parses the request at the beginning of `input`.
    static func parse(_ input: [UInt8]) -> Parsed {
        guard let headEnd = endOfHead(in: input) else { return input.count > 65536 ? .malformed : .incomplete }
        let lines = ByteString(input[0..<headEnd]).split(on: UInt8(ascii: "\n"))
        let words = withoutReturn(lines[0]).split(on: UInt8(ascii: " "))
        guard words.count == 3, words[2].hasPrefix("HTTP/1.") else { return .malformed }
        var wantsClose = words[2] == "HTTP/1.0"
        var bodyLength = 0
        for line in lines.dropFirst() {
            guard let (name, value) = withoutReturn(line).cut(at: UInt8(ascii: ":")) else { continue }
            if equalsIgnoringCase(name, "connection") {
                if equalsIgnoringCase(value.trimmed, "close") { wantsClose = true }
                if equalsIgnoringCase(value.trimmed, "keep-alive") { wantsClose = false }
            } else if equalsIgnoringCase(name, "content-length") {
                guard let length = value.trimmed.decimal, length < 1 << 20 else { return .malformed }
                bodyLength = Int(length)
            }
        }
        guard input.count >= headEnd + bodyLength else { return .incomplete }
        let (path, query) = words[1].cut(at: UInt8(ascii: "?")) ?? (words[1], ByteString())
        return .complete(
            Request(
                path: path, query: query.isEmpty ? nil : query, isHead: words[0] == "HEAD", wantsClose: wantsClose,
                length: headEnd + bodyLength))
    }

    /// Returns the number after `name=` in the query.
    func number(_ name: ByteString) -> UInt64? {
        for part in query?.split(on: UInt8(ascii: "&")) ?? [] {
            if let (key, value) = part.cut(at: UInt8(ascii: "=")), key == name { return value.decimal }
        }
        return nil
    }
}

/// Returns the index after the empty line.
private func endOfHead(in input: [UInt8]) -> Int? {
    var index = 3
    while index < input.count {
        if input[index] == 10, input[index - 1] == 13, input[index - 2] == 10, input[index - 3] == 13 {
            return index + 1
        }
        index += 1
    }
    return nil
}

private func withoutReturn(_ line: ByteString) -> ByteString {
    line.bytes.last == 13 ? line.prefix(line.count - 1) : line
}

/// `lower` is in lower case already.
private func equalsIgnoringCase(_ word: ByteString, _ lower: ByteString) -> Bool {
    guard word.count == lower.count else { return false }
    for index in 0..<word.count {
        let byte = word.bytes[index]
        let isUpper = byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
        if (isUpper ? byte + 32 : byte) != lower.bytes[index] { return false }
    }
    return true
}
