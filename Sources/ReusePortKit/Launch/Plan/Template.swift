/// An argument or a variable's value, with what is known of `{fd:NAME}` and its kin filled in.
struct Template: Sendable, Equatable {
    /// A part of it.
    enum Piece: Sendable, Equatable {
        case text(ByteString)
        /// The port of the socket with this index, which the kernel chooses when it is bound.
        case port(Int)
        /// The path of the socket with this index, if it is bound under another name than the one that was given.
        case path(Int)
    }

    var pieces: [Piece]

    init(_ text: ByteString) { pieces = [.text(text)] }
    init(pieces: [Piece]) { self.pieces = pieces }

    /// The text, given the addresses to which the sockets have been bound.
    func filled(_ addresses: [SocketAddress]) -> ByteString {
        var result = ByteString()
        for piece in pieces {
            switch piece {
            case .text(let text): result.append(text)
            case .port(let index): result.append(decimal: addresses[index].port ?? 0)
            case .path(let index): result.append(addresses[index].host)
            }
        }
        return result
    }

    /// The text with what is not known yet shown as it was written.
    func shown(_ sockets: [SocketPlan]) -> ByteString {
        var result = ByteString()
        for piece in pieces {
            switch piece {
            case .text(let text): result.append(text)
            case .port(let index): result.append("{port:\(sockets[index].name)}")
            case .path(let index): result.append("{path:\(sockets[index].name)}")
            }
        }
        return result
    }
}

private enum Reference: CaseIterable {
    case fd, addr, port, path

    var opening: ByteString {
        switch self {
        case .fd: "{fd:"
        case .addr: "{addr:"
        case .port: "{port:"
        case .path: "{path:"
        }
    }
}

/// Finds the templates in `text`: `{{` is a brace, `{fd:NAME}` and its kin are references, other braces are themselves.
///
/// `pathsAreKnown`: whether sockets are bound at the paths that were given.
func parseTemplate(
    _ text: ByteString, in place: ByteString, sockets: [SocketPlan], files: [FilePlan], pathsAreKnown: Bool = true
) throws(Failure) -> Template {
    guard text.contains(UInt8(ascii: "{")) else { return Template(text) }
    var pieces: [Template.Piece] = []
    var literal = ByteString()
    var index = 0
    while index < text.count {
        if text.hasBytes("{{", at: index) {
            literal.append(UInt8(ascii: "{"))
            index += 2
        } else if let reference = Reference.allCases.first(where: { text.hasBytes($0.opening, at: index) }),
            let end = text.firstIndex(of: UInt8(ascii: "}"), from: index)
        {
            let name = text[(index + reference.opening.count)..<end]
            func failure(_ reason: ByteString, remedy: ByteString? = nil) -> Failure {
                .usage("fill in", "\(text[index..<(end + 1)]) in \(place)", reason, remedy: remedy)
            }
            if let which = sockets.firstIndex(where: { $0.name == name }) {
                let socket = sockets[which]
                switch reference {
                case .fd: literal.append(decimal: socket.descriptor)
                case .path:
                    guard let path = socket.address.path else { throw failure("this socket has no path") }
                    if pathsAreKnown {
                        literal.append(path)
                    } else {
                        pieces.append(.text(literal))
                        pieces.append(.path(which))
                        literal = ""
                    }
                case .addr:
                    if socket.transport == .unix {
                        throw failure("a unix socket has no address", remedy: "use {path:\(name)}")
                    }
                    literal.append(socket.address.host)
                case .port:
                    guard let port = socket.address.port else { throw failure("a unix socket has no port") }
                    if port == 0 {
                        pieces.append(.text(literal))
                        pieces.append(.port(which))
                        literal = ""
                    } else {
                        literal.append(decimal: port)
                    }
                }
            } else if let file = files.first(where: { $0.name == name }) {
                switch reference {
                case .fd: literal.append(decimal: file.descriptor)
                case .path: literal.append(file.path)
                case .addr, .port: throw failure("a file has no address")
                }
            } else {
                throw failure("no socket or file has this name", remedy: "for a literal brace write {{")
            }
            index = end + 1
        } else {
            literal.append(text.bytes[index])
            index += 1
        }
    }
    pieces.append(.text(literal))
    return Template(pieces: pieces)
}
