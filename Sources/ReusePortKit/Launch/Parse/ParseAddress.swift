import CLinux

/// An address as the user wrote it, before its interface is looked up.
struct RequestedAddress: Sendable, Equatable {
    var transport: Transport
    var address: SocketAddress
    /// The interface behind the `%` of a link-local address.
    var zone: ByteString?
    /// Whether an IPv6 socket takes IPv4 connections too.
    var isDualStack = false

    /// The address as a user writes it.
    var description: ByteString {
        let prefix: ByteString = transport == .tcp ? "" : "\(transport.name):"
        if isDualStack, let port = address.port { return "\(prefix)*:\(port)" }
        if let zone, let port = address.port { return "\(prefix)[\(address.host)%\(zone)]:\(port)" }
        return "\(prefix)\(address.description)"
    }
}

/// Reads `0.0.0.0:80`, `[::]:443`, `*:80`, `udp:0.0.0.0:53` or `unix:/run/web.sock`.
func parseAddress(_ text: ByteString) throws(Malformed) -> RequestedAddress {
    if text.hasPrefix("unix:") {
        return try part(at: 5) { () throws(Malformed) in try parseUnixPath(text.dropFirst(5)) }
    }
    if text.hasPrefix("udp:") || text.hasPrefix("tcp:") {
        var requested = try part(at: 4) { () throws(Malformed) in try parseInternetAddress(text.dropFirst(4)) }
        requested.transport = text.hasPrefix("udp:") ? .udp : .tcp
        return requested
    }
    return try parseInternetAddress(text)
}

/// Reads what follows `unix:`.
func parseUnixPath(_ path: ByteString) throws(Malformed) -> RequestedAddress {
    if path.isEmpty { throw Malformed("the path is missing", remedy: "write unix:/run/NAME.sock") }
    if path.bytes[0] == UInt8(ascii: "@") {
        throw Malformed("abstract names cannot be handed from one generation to the next", remedy: "write a path")
    }
    if path.hasSuffix("/") { throw Malformed("the path ends in a slash") }
    _ = try fill(path, copy: 0)
    return RequestedAddress(transport: .unix, address: .unix(path))
}

/// Replaces `{copy}` in the path of a Unix socket by the copy's number, and `{{` by a brace.
@inline(never)
func fill(_ path: ByteString, copy: Int) throws(Malformed) -> ByteString {
    var result = ByteString()
    var index = 0
    while index < path.count {
        if path.hasBytes("{copy}", at: index) {
            result.append(decimal: copy)
            index += 6
            continue
        }
        if path.bytes[index] == UInt8(ascii: "{") {
            guard path.hasBytes("{{", at: index) else {
                throw Malformed(
                    "only {copy} is filled in in a path", at: index, remedy: "for a literal brace write {{")
            }
            index += 1
        }
        result.append(path.bytes[index])
        index += 1
    }
    return result
}

private func parseInternetAddress(_ text: ByteString) throws(Malformed) -> RequestedAddress {
    if text.contains(UInt8(ascii: "{")) { throw Malformed("{copy} is for the paths of unix sockets") }
    let host: ByteString
    let portStart: Int
    if text.bytes.first == UInt8(ascii: "[") {
        guard let end = text.firstIndex(of: UInt8(ascii: "]")) else { throw Malformed("the closing ] is missing") }
        host = text[1..<end]
        guard end + 1 < text.count, text.bytes[end + 1] == UInt8(ascii: ":") else {
            throw Malformed("the port is missing", at: end + 1, remedy: "write [\(host)]:PORT")
        }
        portStart = end + 2
    } else {
        guard let colon = text.lastIndex(of: UInt8(ascii: ":")) else {
            let remedy: ByteString = text.decimal != nil ? "for all addresses write *:\(text)" : "write \(text):PORT"
            throw Malformed("the port is missing in '\(text)'", remedy: remedy)
        }
        host = text.prefix(colon)
        portStart = colon + 1
        if host.contains(UInt8(ascii: ":")) {
            throw Malformed("'\(host)' has colons", remedy: "write IPv6 addresses in brackets: [ADDRESS]:PORT")
        }
    }
    let port = try part(at: portStart) { () throws(Malformed) in try parsePort(text.dropFirst(portStart)) }
    if text.bytes.first == UInt8(ascii: "[") {
        return try part(at: 1) { () throws(Malformed) in try parseIPv6(host, port: port) }
    }
    if host == "*" {
        var any = RequestedAddress(transport: .tcp, address: .ipv6(high: 0, low: 0, port: port, scope: 0))
        any.isDualStack = true
        return any
    }
    guard let address = parseIPv4(host) else {
        throw Malformed(
            "'\(host)' is no IPv4 address", remedy: "names are not looked up; write an address, or *:\(port) for all")
    }
    return RequestedAddress(transport: .tcp, address: .ipv4(address, port: port))
}

/// A port: 0 to 65535, where 0 lets the kernel choose.
func parsePort(_ text: ByteString) throws(Malformed) -> UInt16 {
    guard let number = text.decimal, number <= 65535 else {
        throw Malformed("'\(text)' is no port", remedy: "ports are numbers from 0 to 65535")
    }
    return UInt16(number)
}

/// Reads four decimal numbers; shorter forms, octal numbers and names are refused.
private func parseIPv4(_ text: ByteString) -> UInt32? {
    let parts = text.split(on: UInt8(ascii: "."))
    guard parts.count == 4 else { return nil }
    var address: UInt32 = 0
    for part in parts {
        guard let number = part.decimal, number <= 255, part.count <= 3,
            part.count == 1 || part.bytes[0] != UInt8(ascii: "0")
        else { return nil }
        address = address << 8 | UInt32(number)
    }
    return address
}

private func parseIPv6(_ text: ByteString, port: UInt16) throws(Malformed) -> RequestedAddress {
    let (host, zone) = text.cut(at: UInt8(ascii: "%")).map { ($0.head, $0.tail) } ?? (text, nil)
    var raw: (UInt64, UInt64) = (0, 0)
    guard !host.contains(0), host.withCString({ inet_pton(AF_INET6, $0, &raw) }) == 1 else {
        throw Malformed("'\(host)' is no IPv6 address")
    }
    let low = UInt64(bigEndian: raw.1)
    if raw.0 == 0, low >> 32 == 0xFFFF {
        let inner = SocketAddress.ipv4(UInt32(truncatingIfNeeded: low), port: port).description
        throw Malformed("'\(host)' is an IPv4 address", remedy: "write \(inner)")
    }
    if zone?.isEmpty == true { throw Malformed("the interface behind % is missing", at: host.count + 1) }
    let address = SocketAddress.ipv6(
        high: UInt64(bigEndian: raw.0), low: low, port: port, scope: 0)
    return RequestedAddress(transport: .tcp, address: address, zone: zone)
}
