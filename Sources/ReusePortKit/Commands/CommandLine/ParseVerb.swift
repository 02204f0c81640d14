/// A verb with what stands behind it.
final class VerbRequest {
    var verb: Verb
    var app: ByteString?
    var isJSON = false
    var runDirectory: ByteString?
    var stateDirectory: ByteString?
    var generation: ByteString?
    var pid: Int32?
    var timeout: Milliseconds?
    var onlyRetired = false
    /// For `next`.
    var labels: [ByteString]
    /// For `logs`.
    var follows: Bool
    var lines: Int?
    /// For `scale`.
    var copies: Int?
    /// For `restart` and `logs`: this copy only; for `finish`: the copy that has ended (0).
    var copy: Int?
    /// For `restart`: all copies are stopped before one is started.
    var isAtOnce = false
    /// For `list`: generations of all apps; memory and processors, too.
    var showsAll = false
    var isWide = false
    /// For `list` and `state`: again every second.
    var watches = false
    /// For `suspend`: the running copies stand still.
    var isInPlace = false
    var verbosity = Verbosity.steps
    /// For `finish`: exit codes after which the copy is not started again.
    var permanent: [ClosedRange<Int>] = []
    /// For `finish`: a command for the shell.
    var onExit: ByteString?
    /// For `finish`: how the copy has ended; nil if systemd's environment says it.
    var ending: ProcessEnd?

    fileprivate init(_ verb: Verb, _ options: Options) {
        self.verb = verb
        isJSON = options.isJSON
        runDirectory = options.request.runDirectory
        stateDirectory = options.request.stateDirectory
        generation = options.request.generation
        pid = options.pid
        timeout = options.timeout
        onlyRetired = options.onlyRetired
        labels = options.labels
        (follows, lines) = (options.follows, options.lines)
        if options.isGiven(.copies) {
            copies = options.deploy.countsProcessors ? processorCount() : options.request.copies
            if options.deploy.keepsCopies { copies = nil }
        }
        copy = options.isGiven(.copy) ? options.request.copy : nil
        isAtOnce = options.isGiven(.atOnce)
        isInPlace = options.isGiven(.inPlace)
        (showsAll, isWide, watches) = (options.isGiven(.all), options.isGiven(.wide), options.isGiven(.watch))
        verbosity = options.request.verbosity
        permanent = options.deploy.permanent.flatMap { try? parseExitCodes($0) } ?? []
        onExit = options.deploy.onExit
    }
}

/// Reads what stands behind a verb. Options and operands may come in any order; behind `--` there are no more options.
func parseVerb(_ verb: Verb, _ arguments: [ByteString]) throws(Failure) -> VerbRequest {
    let row = verb.row
    let options = Options()
    var operands: [ByteString] = []
    /// How many operands stand before `--`, if that has been read.
    var front: Int?
    var words = Words(arguments)
    while let word = words.next {
        words.index += 1
        if front == nil && word == "--" {
            front = operands.count
        } else if front == nil && (word.hasPrefix("--") || Option.named(word) != nil) {
            try options.take(try words.setting(try option(split(word).name, of: row), split(word)))
        } else {
            operands.append(word)
        }
    }
    try check(options, row)
    let request = VerbRequest(verb, options)
    // The configuration file names the app.
    let described = try options.config.map { path throws(Failure) in try describedApp(path) }
    let namesApp =
        switch row.operand {
        case .none: true
        // `scale --config FILE 3`
        case .copies: !(described != nil && operands.count == 1 && isCount(operands[0]))
        // `finish --config FILE -- "$@"`
        case .ending: !(described != nil && front == 0)
        }
    try request.take(operands, row, namesApp: namesApp)
    if row.app != .never { request.app = request.app ?? described?.name }
    request.runDirectory = request.runDirectory ?? described?.runDirectory
    if row.app == .always && request.app == nil {
        throw .usage("parse", verb.name, "the app is missing", remedy: "write reuseport-exec \(verb.name) APP")
    }
    if row.operand == .copies && request.copies == nil {
        throw .usage(
            "parse", verb.name, "the number of copies is missing",
            remedy: "write reuseport-exec \(verb.name) APP N")
    }
    return request
}

extension VerbRequest {
    /// Reads the operands: the app, if the first names it, then what the verb takes.
    fileprivate func take(_ operands: [ByteString], _ row: VerbRow, namesApp: Bool) throws(Failure) {
        var operands = operands
        if namesApp, !operands.isEmpty {
            if row.app == .never { throw tooMuch(operands[0], row) }
            app = try operand(operands.removeFirst()) { word throws(Malformed) in
                try parseLabel(word, "an app's name")
            }
        }
        if row.operand == .copies, !operands.isEmpty {
            if let app, isCount(app), !isCount(operands[0]) {
                throw .usage(
                    "parse", operands[0], "that is no number of copies",
                    remedy: "write reuseport-exec scale \(operands[0]) \(app)")
            }
            copies = try operand(operands.removeFirst()) { word throws(Malformed) in
                if word == "0" { throw Malformed("that is no copy", remedy: "terminate ends all") }
                return try parseNumber(word, 1...Bank.copies)
            }
        }
        if row.operand == .ending, let first = operands.first {
            ending = try operand(first) { _ throws(Malformed) in try ProcessEnd(words: operands) }
            operands = []
        }
        if let extra = operands.first { throw tooMuch(extra, row) }
    }
}

private func option(_ name: ByteString, of row: VerbRow) throws(Failure) -> Option {
    if let option = Option.all.first(where: { $0.isNamed(name) && row.takes($0) }) { return option }
    let known = Option.all.filter(row.takes).map { $0.text }
    if name == "--copies", row.operand == .copies {
        throw .usage("parse", name, "unknown option of scale", remedy: "write reuseport-exec scale APP N")
    }
    throw .usage(
        "parse", name, "unknown option of \(row.verb.name)",
        remedy: meant(by: name, among: known, else: "see reuseport-exec help \(row.verb.name)"))
}

private func check(_ options: Options, _ row: VerbRow) throws(Failure) {
    if let key = row.required, !options.isGiven(key) {
        let option = Option.of(key)
        throw .usage(
            "parse", row.verb.name, "\(option.text) is missing",
            remedy: "add \(option.text) \(ByteString(stringLiteral: option.value ?? ""))")
    }
    if options.isGiven(.copy) && options.isGiven(.atOnce) {
        throw .usage("parse", "--copy", "--copy and --at-once exclude each other")
    }
    if options.isGiven(.pid) && options.isGiven(.generation) {
        throw .usage("parse", "--pid", "--pid and --generation exclude each other")
    }
}

private func isCount(_ word: ByteString) -> Bool { (try? parseNumber(word, 1...Bank.copies)) != nil }

private func tooMuch(_ word: ByteString, _ row: VerbRow) -> Failure {
    .usage(
        "parse", word, "\(row.verb.name) takes \(row.app == .never ? "no app" : "one app")",
        remedy: row.takes(Option.of(.generation))
            ? "write --generation \(word)\(row.verb == .logs ? ", or --lines \(word)" : "")" : nil)
}

/// Reads a word that is not an option.
private func operand<Value>(
    _ word: ByteString, _ parse: (ByteString) throws(Malformed) -> Value
) throws(Failure) -> Value {
    do throws(Malformed) {
        return try parse(word)
    } catch {
        throw .usage("parse", word, error.reason, remedy: error.remedy)
    }
}
