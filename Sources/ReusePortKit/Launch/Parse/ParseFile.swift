/// A file that the user asked for.
struct FileRequest: Sendable, Equatable {
    enum Access: UInt8, Sendable { case read, write, both, append }

    var name: ByteString
    var path: ByteString
    var access = Access.read
    /// Whether it is made if it does not exist.
    var creates = false
    /// Whether it is refused if it exists.
    var isExclusive = false
    /// Whether it is emptied.
    var truncates = false

    /// The flags as a user writes them.
    var flags: ByteString {
        var words: [ByteString] = []
        switch access {
        case .read: words.append("r")
        case .write: words.append("w")
        case .both: words.append("rw")
        case .append: words.append("a")
        }
        if creates { words.append("create") }
        if isExclusive { words.append("excl") }
        if truncates { words.append("trunc") }
        return joined(words, by: ",")
    }
}

/// Reads `NAME:PATH[:FLAGS]`.
///
/// The part behind the last colon is always FLAGS if it has no slash: guessing could open the wrong file.
func parseFile(_ text: ByteString) throws(Malformed) -> FileRequest {
    guard let (name, rest) = text.cut(at: UInt8(ascii: ":")), !name.isEmpty else {
        throw Malformed("the name is missing", remedy: "write NAME:PATH")
    }
    var file = FileRequest(name: name, path: rest)
    if let colon = rest.lastIndex(of: UInt8(ascii: ":")), !rest.dropFirst(colon).contains(UInt8(ascii: "/")) {
        file.path = rest.prefix(colon)
        try part(at: name.count + 1 + colon + 1) { () throws(Malformed) in
            try file.apply(
                flags: rest.dropFirst(colon + 1), remedy: "a path with a colon needs its flags written: PATH:r")
        }
    }
    if file.path.isEmpty { throw Malformed("the path is missing", at: name.count + 1) }
    return file
}

let fileFlags: [ByteString] = ["r", "w", "rw", "a", "create", "excl", "trunc"]

extension FileRequest {
    /// Applies comma-separated flags.
    mutating func apply(flags: ByteString, remedy: ByteString? = nil) throws(Malformed) {
        var accessGiven = false
        for flag in flags.split(on: UInt8(ascii: ",")) {
            let access: Access?
            switch flag {
            case "r": access = .read
            case "w": access = .write
            case "rw": access = .both
            case "a": access = .append
            case "create": (creates, access) = (true, nil)
            case "excl": (isExclusive, access) = (true, nil)
            case "trunc": (truncates, access) = (true, nil)
            default:
                throw Malformed("unknown flag '\(flag)'; use \(alternatives(fileFlags))", remedy: remedy)
            }
            if let access {
                if accessGiven { throw Malformed("more than one of r, w, rw, a in '\(flags)'") }
                (self.access, accessGiven) = (access, true)
            }
        }
        if isExclusive && !creates { throw Malformed("'excl' goes with 'create'") }
        if truncates && self.access == .read { throw Malformed("'trunc' needs w, rw or a") }
    }
}
