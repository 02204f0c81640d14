import CLinux

/// The contents of a configuration file.
struct Configuration {
    var settings: [Setting] = []
    var command: [ByteString] = []
    /// Words that follow the command's own: those of niagra's `environment:` and `app-NAME:`.
    fileprivate var arguments: [ByteString] = []
    /// Where relative paths in it begin, if not in the file's own directory.
    var base: ByteString?
}

/// Reads a configuration file: `key: value` lines, keys being the long options' names.
func readConfiguration(_ path: ByteString) throws(Failure) -> Configuration {
    try parseConfiguration(try readTrusted(path), path)
}

/// Reads the text of a configuration file, which messages place at `path`.
func parseConfiguration(_ text: ByteString, _ path: ByteString) throws(Failure) -> Configuration {
    var configuration = Configuration()
    var lineNumber = 0
    for var line in text.split(on: UInt8(ascii: "\n")) {
        lineNumber += 1
        if line.bytes.last == UInt8(ascii: "\r") { line.bytes.removeLast() }
        let content = line.trimmed
        if content.isEmpty || content.bytes[0] == UInt8(ascii: "#") { continue }
        try configuration.take(line, path: path, number: lineNumber)
    }
    if !configuration.command.isEmpty { configuration.command += configuration.arguments }
    return configuration
}

extension Configuration {
    fileprivate mutating func take(_ line: ByteString, path: ByteString, number: Int) throws(Failure) {
        func failure(_ malformed: Malformed) -> Failure {
            .usage("parse", "\(path):\(number):\(malformed.offset + 1)", malformed.reason, remedy: malformed.remedy)
        }
        let indent = line.bytes.prefix { isBlank($0) }.count
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else {
            throw failure(Malformed("the colon is missing", at: indent, remedy: "write KEY: VALUE"))
        }
        let key = line[indent..<colon].trimmed
        let value = line.dropFirst(colon + 1).trimmed
        let start = colon + 1 + line.bytes.dropFirst(colon + 1).prefix { isBlank($0) }.count
        switch key {
        case "command":
            if !command.isEmpty { throw failure(Malformed("there is a command already", at: indent)) }
            do throws(Malformed) {
                command = try splitWords(value)
            } catch {
                throw failure(error.moved(by: start))
            }
            if command.isEmpty { throw failure(Malformed("the command is missing", at: start)) }
            return
        case "relative-to":
            guard value.hasPrefix("/") else {
                throw failure(Malformed("'\(value)' does not start at the root", at: start))
            }
            base = value
            return
        // niagra's files say this; one process is one copy in any case.
        case "copies" where value == "1": return
        default: break
        }
        guard let option = Option.named("--\(key)"), option.places.contains(.file) else {
            if key == "environment" || key.hasPrefix("app-") && nearest(to: key, among: keys)?.hasPrefix("app-") != true
            {
                arguments += [key == "environment" ? "--env" : "--\(key)", value]
                return
            }
            throw failure(.unknown("key", key, known: keys, at: indent))
        }
        let setting = Setting(
            option: option, value: value, origin: .file(path: path, line: number, column: start + 1))
        if option.value == nil && !value.isEmpty { throw setting.failure(Malformed("this key takes no value")) }
        if !option.isRepeatable, settings.contains(where: { $0.option.key == option.key }) {
            throw failure(Malformed("'\(key)' was given before, and takes one value", at: indent))
        }
        settings.append(setting)
    }

    private var keys: [ByteString] {
        Option.all.filter { $0.places.contains(.file) }.map { $0.text.dropFirst(2) } + ["command"]
    }
}
