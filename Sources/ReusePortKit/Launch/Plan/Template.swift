/// An argument or a variable's value, with known references like `{fd:NAME}` filled in.
struct Template: Sendable, Equatable {
    enum Piece: Sendable, Equatable {
        case text(ByteString)
        /// The port of the socket with this index, which the kernel chooses when it is bound.
        case port(Int)
        /// The path of the socket with this index, if it will be bound under another name than the user's.
        case path(Int)
        case copy
    }

    var pieces: [Piece]

    init(_ text: ByteString) { pieces = [.text(text)] }
    init(pieces: [Piece]) { self.pieces = pieces }

    /// The text with the addresses to which the sockets have been bound, and the copy's number.
    @inline(never)
    func filled(_ addresses: [SocketAddress], copy: Int) -> ByteString {
        var result = ByteString()
        for piece in pieces {
            switch piece {
            case .text(let text): result.append(text)
            case .port(let index): result.append(decimal: addresses[index].port ?? 0)
            case .path(let index): result.append(addresses[index].host)
            case .copy: result.append(decimal: copy)
            }
        }
        return result
    }

    /// The text with references that are not known yet, for people to read.
    func shown(_ sockets: [SocketPlan]) -> ByteString {
        var result = ByteString()
        for piece in pieces {
            switch piece {
            case .text(let text): result.append(text)
            case .port(let index): result.append("{port:\(sockets[index].name)}")
            case .path(let index): result.append("{path:\(sockets[index].name)}")
            case .copy: result.append("{copy}")
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

    func resolve(_ socket: SocketPlan, at index: Int, pathsAreKnown: Bool) throws(Malformed) -> Template.Piece {
        switch self {
        case .fd: return .text(ByteString(decimal: socket.descriptor))
        case .path:
            guard let path = socket.address.path else { throw Malformed("this socket has no path") }
            return pathsAreKnown ? .text(path) : .path(index)
        case .addr:
            if socket.transport == .unix {
                throw Malformed("a unix socket has no address", remedy: "use {path:\(socket.name)}")
            }
            return .text(socket.address.host)
        case .port:
            guard let port = socket.address.port else { throw Malformed("a unix socket has no port") }
            return port == 0 ? .port(index) : .text(ByteString(decimal: port))
        }
    }

    func resolve(_ file: FilePlan?) throws(Malformed) -> Template.Piece {
        guard let file else {
            throw Malformed("no socket or file has this name", remedy: "for a literal brace write {{")
        }
        switch self {
        case .fd: return .text(ByteString(decimal: file.descriptor))
        case .path: return .text(file.path)
        case .addr, .port: throw Malformed("a file has no address")
        }
    }
}

/// Finds the references in `text`, like `{fd:NAME}` and `{copy}`; `{{` is a brace, and so are all other braces.
///
/// A number that is nobody's name is left as it is: programs in JavaScript say `listen({port: 80})`.
///
/// `pathsAreKnown` says that sockets are bound at the user's paths.
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
        } else if text.hasBytes("{copy}", at: index) {
            pieces += [.text(literal), .copy]
            literal = ""
            index += 6
        } else if let reference = Reference.allCases.first(where: { text.hasBytes($0.opening, at: index) }),
            let end = text.firstIndex(of: UInt8(ascii: "}"), from: index)
        {
            let name = text[(index + reference.opening.count)..<end]
            let file = files.first { $0.name == name }
            do throws(Malformed) {
                let piece: Template.Piece =
                    if let which = sockets.firstIndex(where: { $0.name == name }) {
                        try reference.resolve(sockets[which], at: which, pathsAreKnown: pathsAreKnown)
                    } else if file == nil, name.trimmed.decimal != nil {
                        .text(text[index..<(end + 1)])
                    } else {
                        try reference.resolve(file)
                    }
                if case .text(let known) = piece {
                    literal.append(known)
                } else {
                    pieces += [.text(literal), piece]
                    literal = ""
                }
            } catch {
                throw .usage(
                    "fill in", "\(text[index..<(end + 1)]) in \(place)", error.reason, remedy: error.remedy)
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
