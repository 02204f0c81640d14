import CLinux

/// An open file, pipe or socket to which copies write.
struct Output: ~Copyable {
    /// Nil: deploy's own standard output and error.
    let descriptor: Descriptor?
    /// The path of a file.
    let path: ByteString?
    /// The size of the file before the copies write to it.
    let start: UInt64
    /// Whether a line says where a generation begins. A device or a FIFO may not take it, or not at once.
    let isMarked: Bool

    /// `user`: the copies' user, if it is not the caller.
    static func open(
        _ destination: LogDestination?, app: ByteString, copy: Int, for user: UInt32?
    ) throws(Failure) -> Output {
        switch destination {
        case .inherited?: return Output(descriptor: nil, path: nil, start: 0, isMarked: false)
        case .syslog?: return Output(descriptor: try openSystemLog(app), path: nil, start: 0, isMarked: true)
        case .file(let path)?:
            return try openFile(path.replacing("{copy}", with: ByteString(decimal: copy)), for: user)
        case nil: return try openFile(try makeUsualLog(of: app), for: user)
        }
    }

    private static func openFile(_ written: ByteString, for user: UInt32?) throws(Failure) -> Output {
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
        // A copy that opens its log again by name, as /dev/stderr, needs more than its descriptor. It gets the right to
        // write and no other: an owner could keep us from opening the file (by a lease), or link it elsewhere. A file
        // with something in it may be somebody else's, and stays as it is.
        if let user, info.isRegular, info.size == 0, info.owner == geteuid(), user != info.owner {
            clinux_allow_writing(file.number, info.mode, user)
        }
        // The copies share this open file, and wait when a FIFO is full.
        _ = clinux_fcntl(file.number, F_SETFL, Int(O_APPEND))
        return Output(
            descriptor: file, path: path, start: info.isRegular ? info.size : 0, isMarked: info.isRegular)
    }

    /// A descriptor of the output for a copy; nil for the command's own.
    borrowing func duplicate() throws(Errno) -> Descriptor? {
        switch descriptor {
        case .some(let file): try file.duplicate()
        case .none: nil
        }
    }

    fileprivate borrowing func add(_ line: ByteString) {
        switch descriptor {
        case .some(let file): _ = try? writeAll(line, to: file)
        case .none: break
        }
    }

    /// Reads what was written to a file since it was opened: of much, the first 16 kB and the last 4.
    borrowing func written() -> ByteString {
        guard let path, let place = try? followPath(path, object: path),
            let file = try? openRegular(place.name, in: place.directory, object: path),
            let info = try? status(of: file), info.size > start
        else { return "" }
        var text = readPart(of: file, at: start, 1 << 14)
        let rest = start + 1 << 14
        if info.size > rest {
            // Neither piece ends where a line does.
            let end = readPart(of: file, at: max(rest, info.size - 4096), 4096)
            text = text.prefix((text.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1)
            text.append(end.dropFirst((end.firstIndex(of: UInt8(ascii: "\n")) ?? -1) + 1))
        }
        return text
    }
}

/// The outputs of all copies of a deploy: one for all, or one for each.
struct Outputs: ~Copyable {
    private var places = OwnedArray<Output>()

    init(_ destination: LogDestination?, app: ByteString, _ copies: [Int], for user: UInt32?) throws(Failure) {
        for copy in copies {
            places.append(try Output.open(destination, app: app, copy: copy, for: user))
            guard case .file(let path)? = destination, path.replacing("{copy}", with: "") != path else { break }
        }
    }

    /// The output of the copy with this index.
    subscript(index: Int) -> Output { _read { yield places[min(index, places.count - 1)] } }

    /// Writes where the output of a generation begins, for `logs`, or goes on with copies that join it. Errors are
    /// ignored, as are those of the copies.
    borrowing func mark(_ app: ByteString, _ label: ByteString, isNew: Bool) {
        let line: ByteString = "\(generationMark(app, label, isNew: isNew)), \(timestamp(secondsSince1970()))\n"
        for index in 0..<places.count where places[index].isMarked { places[index].add(line) }
    }

    /// Reports what the copy with this index has written, and returns it.
    borrowing func show(_ index: Int, isShared: Bool, _ report: Reporter) -> ByteString {
        let index = min(index, places.count - 1)
        let text = places[index].written()
        if let path = places[index].path { report(.output(of: path, text, isShared: isShared)) }
        return text
    }
}

/// The beginning of the line that `mark` writes.
func generationMark(_ app: ByteString, _ label: ByteString, isNew: Bool = true) -> ByteString {
    "reuseport-exec: info: \(app) \(label): \(isNew ? "begins" : "goes on") here"
}

/// Makes the usual log directory if need be; returns the path of the app's file in it.
private func makeUsualLog(of app: ByteString) throws(Failure) -> ByteString {
    try makeLogDirectory(try usualLogDirectory(), mode: 0o755)
    return try usualLog(of: app)
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
