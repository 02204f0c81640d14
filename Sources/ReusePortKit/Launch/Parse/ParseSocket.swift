/// A socket that the user asked for.
struct SocketRequest: Sendable, Equatable {
    var name: ByteString
    var address: RequestedAddress
    /// How many connections may wait to be accepted; the system's `somaxconn` if nil.
    var backlog: Int32?
    /// The permission bits of a Unix socket; if nil, the umask decides.
    var mode: UInt32?
    var owner: ByteString?
    var group: ByteString?
    /// The descriptor's number in the target; nil for a free one.
    var descriptor: Int32?
    /// Whether the address need not exist yet (IP_FREEBIND).
    var isFreebind = false
    /// The interface that the socket is bound to (SO_BINDTODEVICE).
    var device: ByteString?
    /// Whether the listener has TCP_NODELAY, which accepted connections inherit.
    var isNodelay = false
    /// Whether listen(2) is called.
    var isListening = true
    /// `secure` or `insecure`, from a line in niagra's form.
    var niagraType: ByteString?
}

/// Reads `NAME:ADDRESS[,option...]`.
func parseSocket(_ text: ByteString) throws(Malformed) -> SocketRequest {
    guard let (name, rest) = text.cut(at: UInt8(ascii: ":")), !name.isEmpty else {
        throw Malformed("the name is missing", remedy: "write NAME:ADDRESS, as in http:0.0.0.0:80")
    }
    var offset = name.count + 1
    let words = rest.split(on: UInt8(ascii: ","))
    if let (name, host) = name.cut(at: UInt8(ascii: "=")), words[0].decimal != nil || rest.hasPrefix("/") {
        throw Malformed("a name ends with a colon", remedy: "write \(name):\(host):\(rest)")
    }
    // No address is so short, and no port comes first: the name was left out.
    if name == "*" || name.hasPrefix("[") || name.contains(UInt8(ascii: ".")) && words[0].decimal != nil {
        throw Malformed("the name is missing", remedy: "write http:\(text)")
    }
    if rest.hasPrefix("/"), !rest.hasPrefix("//") {
        throw Malformed(
            "'\(rest)' is no address", remedy: "write \(name == "unix" ? "http" : name):unix:\(rest)")
    }
    if rest.hasPrefix("//") { throw Malformed("'\(text)' is a URL", remedy: "write http:\(rest.dropFirst(2))") }
    let address = try part(at: offset) { () throws(Malformed) in try parseAddress(words[0]) }
    var socket = SocketRequest(name: name, address: address)
    offset += words[0].count + 1
    var seen: [ByteString] = []
    for word in words.dropFirst() {
        try part(at: offset) { () throws(Malformed) in
            let key = word.cut(at: UInt8(ascii: "="))?.head ?? word
            if seen.contains(key) { throw Malformed("'\(key)' is given twice") }
            seen.append(key)
            try socket.apply(word)
        }
        offset += word.count + 1
    }
    return socket
}

let socketOptions: [ByteString] = [
    "backlog", "mode", "owner", "group", "fd", "freebind", "bind-dev", "nodelay", "listen",
]

extension SocketRequest {
    /// Applies one of the comma-separated options.
    fileprivate mutating func apply(_ word: ByteString) throws(Malformed) {
        let pair = word.cut(at: UInt8(ascii: "="))
        let key = pair?.head ?? word
        let isUnix = address.transport == .unix
        func value() throws(Malformed) -> ByteString {
            guard let value = pair?.tail, !value.isEmpty else { throw Malformed("'\(key)' needs a value") }
            return value
        }
        func only(_ applies: Bool, _ kind: ByteString) throws(Malformed) {
            if !applies { throw Malformed("'\(key)' is for \(kind) sockets") }
        }
        switch key {
        case "backlog":
            try only(address.transport != .udp, "tcp and unix")
            backlog = try parseBacklog(value())
        case "mode":
            try only(isUnix, "unix")
            mode = try parseMode(value())
        case "owner":
            try only(isUnix, "unix")
            owner = try value()
        case "group":
            try only(isUnix, "unix")
            group = try value()
        case "fd":
            descriptor = try parseDescriptor(value())
        case "bind-dev":
            try only(!isUnix, "tcp and udp")
            let name = try value()
            if name.count > 15 { throw Malformed("'\(name)' is too long for an interface", remedy: "at most 15 bytes") }
            device = name
        case "freebind" where pair == nil:
            try only(!isUnix, "tcp and udp")
            isFreebind = true
        case "nodelay" where pair == nil:
            try only(address.transport == .tcp, "tcp")
            isNodelay = true
        case "listen":
            try only(address.transport != .udp, "tcp and unix")
            guard try value() == "no" else {
                throw Malformed("unknown socket option '\(word)'", remedy: "use listen=no")
            }
            isListening = false
        case "freebind", "nodelay":
            throw Malformed("'\(key)' takes no value")
        default:
            throw .unknown("socket option", key, known: socketOptions)
        }
    }
}

/// A backlog of at least 1; the kernel caps it at `net.core.somaxconn`.
func parseBacklog(_ text: ByteString) throws(Malformed) -> Int32 {
    guard let number = text.decimal, number >= 1, number <= UInt64(Int32.max) else {
        throw Malformed("'\(text)' is no backlog", remedy: "write a number from 1 to 2147483647")
    }
    return Int32(number)
}
