import CLinux

/// An open file, pipe or socket to which copies write.
struct Output: ~Copyable {
    /// Nil: deploy's own standard output and error.
    let descriptor: Descriptor?
    /// The path of a file.
    let path: ByteString?
    /// The size of the file before the copies write to it.
    let start: UInt64

    static func open(_ destination: LogDestination?, app: ByteString, copy: Int) throws(Failure) -> Output {
        switch destination {
        case .inherited?: return Output(descriptor: nil, path: nil, start: 0)
        case .syslog?: return Output(descriptor: try openSystemLog(app), path: nil, start: 0)
        case .file(let path)?: return try openFile(path.replacing("{copy}", with: ByteString(decimal: copy)))
        case nil: return try openFile(try usualLogFile(of: app))
        }
    }

    private static func openFile(_ written: ByteString) throws(Failure) -> Output {
        let path = resolve(written, against: try currentDirectory())
        let object: ByteString = "log \(path)"
        let place = try followPath(path, object: object)
        let file = try step("open", object) { () throws(Errno) in
            // Without O_NONBLOCK we would wait at a FIFO, which anybody may have put there.
            try ReusePortKit.open(
                place.name, in: place.directory,
                O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, mode: 0o640)
        }
        let info = try step("examine", object) { () throws(Errno) in try status(of: file) }
        guard info.isRegular && info.links == 1 || info.isCharacterDevice || info.isFIFO else {
            throw Failure(.system, "open", object, "it is a special file, or has other names")
        }
        // The owner of a FIFO could make the copies wait, by not reading.
        if info.isFIFO, info.owner != 0, info.owner != geteuid() {
            throw Failure(.system, "trust", object, "it is a FIFO of uid \(info.owner)")
        }
        // The copies share this open file, and wait when a FIFO is full.
        _ = clinux_fcntl(file.number, F_SETFL, Int(O_APPEND))
        return Output(descriptor: file, path: path, start: info.isRegular ? info.size : 0)
    }

    /// Reports the end of what was written to a file since it was opened.
    borrowing func show(_ report: Reporter) {
        guard let path, let place = try? followPath(path, object: path),
            let file = try? ReusePortKit.open(place.name, in: place.directory, O_RDONLY | O_NOFOLLOW | O_NONBLOCK),
            let info = try? status(of: file), info.isRegular, info.size > start
        else { return }
        let from = max(start, info.size - min(info.size, 4096))
        _ = lseek(file.number, Int(from), SEEK_SET)
        guard var text = try? readAll(file, atMost: 1 << 16) else { return }
        // The text may begin in the middle of a line, even of a character: drop all up to the next line.
        if from > start, let end = text.firstIndex(of: UInt8(ascii: "\n")), end + 1 < text.count {
            text = text.dropFirst(end + 1)
        }
        report(.output(of: path, text))
    }
}

/// The outputs of all copies of a deploy: one for all, or one for each.
struct Outputs: ~Copyable {
    private var places = OwnedArray<Output>()

    init(_ destination: LogDestination?, app: ByteString, _ copies: [Int]) throws(Failure) {
        for copy in copies {
            places.append(try Output.open(destination, app: app, copy: copy))
            guard case .file(let path)? = destination, path.replacing("{copy}", with: "") != path else { break }
        }
    }

    /// The output of the copy with this index.
    subscript(index: Int) -> Output { _read { yield places[min(index, places.count - 1)] } }

    /// Reports the end of each.
    borrowing func show(_ report: Reporter) {
        for index in 0..<places.count { places[index].show(report) }
    }
}

/// The path of `APP.log` in the usual log directory, which is made if need be.
private func usualLogFile(of app: ByteString) throws(Failure) -> ByteString {
    let directory = try usualLogDirectory()
    try makeLogDirectory(directory, mode: 0o755)
    return "\(directory)/\(app).log"
}

/// Opens a stream to the journal where there is one, otherwise to a logger(1) that ends with the last copy.
private func openSystemLog(_ app: ByteString) throws(Failure) -> Descriptor {
    if let stream = try? openJournalStream(app) { return stream }
    let pipe = try step("make", "pipe to logger", remedy: descriptorRemedy) { () throws(Errno) in try PipeEnds() }
    guard let logger = findProgram("logger", in: safeSearchPath) else {
        throw Failure(.system, "run", "logger", "it is not in \(safeSearchPath)", remedy: "give --log FILE")
    }
    try step("run", logger) { () throws(Errno) in
        try spawn(
            logger, CStrings(["logger", "-t", app]), CStrings(["PATH=\(safeSearchPath)"]), in: .ownSession,
            StandardDescriptors(input: pipe.reader.number))
    }
    return pipe.writer
}

/// Opens a stream as systemd does for services: a header of a few lines, then the output. (sd_journal_stream_fd(3):
/// identifier, unit, priority 6, prefixes read, not forwarded to syslog, kmsg, console.)
private func openJournalStream(_ app: ByteString) throws(Errno) -> Descriptor {
    let stream = try socket(family: AF_UNIX, type: Int32(SOCK_STREAM.rawValue))
    try connect(stream, to: .unix("/run/systemd/journal/stdout"))
    try writeAll("\(app)\n\n6\n1\n0\n0\n0\n", to: stream)
    return stream
}
