/// One option as it was given: on the command line or in a configuration file.
struct Setting: Sendable {
    var option: Option
    var value: ByteString
    var origin: Origin

    /// Where a setting stands.
    enum Origin: Sendable {
        case commandLine
        /// Line and column count from 1; the column is that of the value's first byte.
        case file(path: ByteString, line: Int, column: Int)
    }

    /// The error for a value that cannot be understood.
    func failure(_ malformed: Malformed) -> Failure {
        switch origin {
        case .commandLine:
            let object: ByteString =
                option.value == nil
                ? ByteString(stringLiteral: option.name) : "\(ByteString(stringLiteral: option.name)) \(value)"
            return .usage("parse", object, malformed.reason, remedy: malformed.remedy)
        case .file(let path, let line, let column):
            return .usage(
                "parse", "\(path):\(line):\(column + malformed.offset)", malformed.reason, remedy: malformed.remedy)
        }
    }
}

/// What is wrong with a value, and where in it.
struct Malformed: Error {
    var reason: ByteString
    /// Bytes from the value's start to the part that is wrong.
    var offset = 0
    var remedy: ByteString?

    init(_ reason: ByteString, at offset: Int = 0, remedy: ByteString? = nil) {
        self.reason = reason
        self.offset = offset
        self.remedy = remedy
    }

    /// The same, seen from a value that has this one `distance` bytes behind its start.
    func moved(by distance: Int) -> Malformed { Malformed(reason, at: offset + distance, remedy: remedy) }
}

/// Parses a part of a value, whose errors then point into the whole.
func part<Result>(
    at distance: Int, _ parse: () throws(Malformed) -> Result
) throws(Malformed) -> Result {
    do throws(Malformed) {
        return try parse()
    } catch {
        throw error.moved(by: distance)
    }
}
