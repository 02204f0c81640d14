import ReusePortKit

/// An HTTP/1 answer as it arrives.
struct Answer {
    private(set) var bytes: [UInt8] = []
    private var headLength: Int?
    private var bodyLength: Int?
    private var isChunked = false
    private(set) var status = 0
    /// Whether the server closes the connection after this answer.
    private(set) var isLast = false

    var isEmpty: Bool { bytes.isEmpty }

    mutating func append(_ part: UnsafeRawBufferPointer) { bytes.append(contentsOf: part) }

    mutating func clear() {
        bytes.removeAll(keepingCapacity: true)
        headLength = nil
        bodyLength = nil
        isChunked = false
        status = 0
        isLast = false
    }

    /// Returns whether all of it has arrived. `atEnd`: the connection has ended.
    mutating func isComplete(atEnd: Bool) -> Bool {
        if headLength == nil { readHead() }
        guard let headLength else { return false }
        if let bodyLength { return bytes.count >= headLength + bodyLength }
        if isChunked { return endsInLastChunk(from: headLength) }
        if status == 204 || status == 304 { return true }
        // Without length and chunks, the end of the connection is the end of the answer.
        if atEnd { isLast = true }
        return atEnd
    }

    var body: ByteString { ByteString(bytes[min(headLength ?? 0, bytes.count)...]) }

    /// Returns the value of a line `name: value` in the body.
    func value(_ name: StaticString) -> ByteString? {
        guard var index = headLength else { return nil }
        let length = name.utf8CodeUnitCount
        return bytes.withUnsafeBufferPointer { bytes -> ByteString? in
            while index + length + 2 <= bytes.count {
                var same = 0
                while same < length, bytes[index + same] == name.utf8Start[same] { same += 1 }
                var end = index
                while end < bytes.count, bytes[end] != 10 { end += 1 }
                if same == length, bytes[index + length] == UInt8(ascii: ":") {
                    let start = min(index + length + 2, end)
                    return ByteString(Array(bytes[start..<end]))
                }
                index = end + 1
            }
            return nil
        }
    }

    private mutating func readHead() {
        var end = 3
        while end < bytes.count {
            if bytes[end] == 10, bytes[end - 1] == 13, bytes[end - 2] == 10, bytes[end - 3] == 13 { break }
            end += 1
        }
        guard end < bytes.count else { return }
        headLength = end + 1
        let lines = ByteString(bytes[0..<end - 3]).split(on: 10)
        let words = lines[0].split(on: UInt8(ascii: " "))
        if words.count > 1, words[0].hasPrefix("HTTP/1.") {
            status = words[1].decimal.map { Int(truncatingIfNeeded: $0) } ?? 0
            isLast = words[0] == "HTTP/1.0"
        }
        for line in lines.dropFirst() {
            guard let (name, tail) = line.cut(at: UInt8(ascii: ":")) else { continue }
            let value = lowerCase(tail.bytes.last == 13 ? tail.prefix(tail.count - 1) : tail).trimmed
            switch lowerCase(name) {
            case "content-length": bodyLength = value.decimal.map { Int(truncatingIfNeeded: $0) }
            case "transfer-encoding": isChunked = value == "chunked"
            case "connection": isLast = value == "close" || isLast && value != "keep-alive"
            default: break
            }
        }
    }

    private func endsInLastChunk(from start: Int) -> Bool {
        var index = start
        while true {
            var size = 0
            var digits = 0
            while index < bytes.count, let digit = hexValue(bytes[index]) {
                size = size << 4 | digit
                digits += 1
                index += 1
            }
            while index < bytes.count, bytes[index] != 10 { index += 1 }
            guard digits > 0, digits < 8, index < bytes.count else { return false }
            // An empty line follows the chunk; trailers are not supported.
            index += 1 + size + 2
            if index > bytes.count { return false }
            if size == 0 { return true }
        }
    }
}

private func hexValue(_ byte: UInt8) -> Int? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): return Int(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): return Int(byte - UInt8(ascii: "a")) + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): return Int(byte - UInt8(ascii: "A")) + 10
    default: return nil
    }
}

private func lowerCase(_ text: ByteString) -> ByteString {
    var result = text
    for index in 0..<result.count {
        let byte = result.bytes[index]
        if byte >= UInt8(ascii: "A"), byte <= UInt8(ascii: "Z") { result.bytes[index] = byte + 32 }
    }
    return result
}
