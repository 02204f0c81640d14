/// A command of its own, instead of options and a target.
enum Verb: UInt8, CaseIterable, Sendable {
    case list, count, state, wait, check, retire, terminate, deploy, scale, restart, suspend, resume, finish

    /// As it is written first; `ls` and `st` are short for two of them.
    var names: [ByteString] {
        switch self {
        case .list: ["list", "ls"]
        case .count: ["count"]
        case .state: ["state", "st"]
        case .wait: ["wait"]
        case .check: ["check"]
        case .retire: ["retire"]
        case .terminate: ["terminate"]
        case .deploy: ["deploy", "start", "migrate"]
        case .scale: ["scale"]
        case .restart: ["restart"]
        case .suspend: ["suspend"]
        case .resume: ["resume"]
        case .finish: ["finish"]
        }
    }

    static func named(_ word: ByteString) -> Verb? { allCases.first { $0.names.contains(word) } }

    /// Whether it is about one app, all apps, or either.
    var takesApp: AppArgument {
        switch self {
        case .list: .never
        case .count, .state: .optional
        default: .always
        }
    }

    enum AppArgument { case never, optional, always }
}

/// A verb with what stands behind it.
struct VerbRequest: Sendable {
    var verb: Verb
    var app: ByteString?
    var isJSON = false
    var runDirectory: ByteString?
    /// A file that describes the app: what is left out is read from there.
    var config: ByteString?
    var generation: ByteString?
    var pid: Int32?
    var timeout: Milliseconds?
    var onlyRetired = false
    /// For scale.
    var copies: Int?
    /// For restart: this copy only; for finish: which one has ended (0).
    var copy: Int?
    var verbosity = Verbosity.steps
    /// For finish: exit codes after which it is not to be started again.
    var permanent: [ClosedRange<Int>] = []
    /// For finish: what the shell is to run.
    var onExit: ByteString?
    /// For finish: how the copy has ended; nil if systemd says it.
    var ending: ProcessEnd?
}

/// Reads what stands behind a verb. Options and the app may come in any order; behind `--` there are no more options.
func parseVerb(_ verb: Verb, _ words: [ByteString]) throws(Failure) -> VerbRequest {
    var request = VerbRequest(verb: verb)
    var index = 0
    var ending: [ByteString] = []
    var isBehindOptions = false
    while index < words.count {
        var word = words[index]
        var attached: ByteString?
        index += 1
        if word == "--" && !isBehindOptions {
            isBehindOptions = true
            continue
        }
        guard word.hasPrefix("--") && !isBehindOptions else {
            // The configuration file names the app.
            if verb == .finish && (request.app != nil || isBehindOptions && request.config != nil) {
                ending.append(word)
                continue
            }
            if verb == .scale, request.app != nil, request.copies == nil {
                do throws(Malformed) {
                    request.copies = try parseNumber(word, 1...Bank.copies)
                } catch {
                    throw .usage("parse", word, error.reason, remedy: error.remedy)
                }
                continue
            }
            guard request.app == nil, verb.takesApp != .never else {
                throw .usage("parse", word, "\(verb.names[0]) takes \(verb.takesApp == .never ? "no app" : "one app")")
            }
            do throws(Malformed) {
                request.app = try parseLabel(word, "an app's name")
            } catch {
                throw .usage("parse", word, error.reason, remedy: error.remedy)
            }
            continue
        }
        if let (name, value) = word.cut(at: UInt8(ascii: "=")) { (word, attached) = (name, value) }
        func value() throws(Failure) -> ByteString {
            if let attached { return attached }
            guard index < words.count else { throw .usage("parse", word, "the value is missing") }
            index += 1
            return words[index - 1]
        }
        do throws(Malformed) {
            switch (word, verb) {
            case ("--run-dir", _): request.runDirectory = try parseRunDirectory(given(value))
            case ("--json", .list), ("--json", .count), ("--json", .state): request.isJSON = true
            case ("--generation", .wait), ("--generation", .check), ("--generation", .finish):
                request.generation = try parseLabel(given(value), "a generation's label")
            case ("--pid", .wait): request.pid = Int32(try parseNumber(given(value), 1...Int(Int32.max)))
            case ("--timeout", .wait): request.timeout = try parseTime(given(value))
            case ("--retired", .terminate): request.onlyRetired = true
            case ("--copy", .restart), ("--copy", .finish):
                request.copy = try parseNumber(given(value), 0...(Bank.copies - 1))
            case ("--config", _): request.config = try given(value)
            case ("--quiet", .scale), ("--quiet", .restart), ("--quiet", .suspend): request.verbosity = .quiet
            case ("--debug", .scale), ("--debug", .restart), ("--debug", .suspend): request.verbosity = .everything
            case ("--permanent", .finish): request.permanent = try parseExitCodes(given(value))
            case ("--on-exit", .finish): request.onExit = try given(value)
            default: throw Malformed("\(verb.names[0]) has no such option", remedy: "see reuseport-exec --help verbs")
            }
        } catch {
            throw .usage("parse", word, error.reason, remedy: error.remedy)
        }
    }
    if let config = request.config {
        let described = try describedApp(config)
        // `scale --config FILE 3`
        if verb == .scale, request.copies == nil, let count = request.app?.decimal, count >= 1, count <= Bank.copies {
            (request.copies, request.app) = (Int(count), nil)
        }
        if verb.takesApp != .never { request.app = request.app ?? described.name }
        request.runDirectory = request.runDirectory ?? described.runDirectory
    }
    if verb == .scale && request.app != nil && request.copies == nil {
        throw .usage(
            "parse", "scale", "the number of copies is missing", remedy: "write reuseport-exec scale APP N")
    }
    if verb.takesApp == .always && request.app == nil {
        throw .usage("parse", verb.names[0], "the app is missing", remedy: "write reuseport-exec \(verb.names[0]) APP")
    }
    if request.pid != nil && request.generation != nil {
        throw .usage("parse", "--pid", "--pid and --generation exclude each other")
    }
    if verb == .finish { try checkFinish(&request, ending) }
    return request
}

/// What a finish script says of the end of its service.
private func checkFinish(_ request: inout VerbRequest, _ words: [ByteString]) throws(Failure) {
    guard request.generation != nil else {
        throw .usage("parse", "finish", "the generation is missing", remedy: "add --generation LABEL")
    }
    if words.isEmpty { return }
    do throws(Malformed) {
        request.ending = try ProcessEnd(words: words)
    } catch {
        throw .usage("parse", words[0], error.reason, remedy: error.remedy)
    }
}

/// The value, as an error of the value's own parser.
private func given(_ value: () throws(Failure) -> ByteString) throws(Malformed) -> ByteString {
    do throws(Failure) {
        return try value()
    } catch {
        throw Malformed(error.reason, remedy: error.remedy)
    }
}
