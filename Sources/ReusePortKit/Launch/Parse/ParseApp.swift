import CLinux

/// The options that go with `--app`, as they were given.
struct AppOptions: Sendable {
    var name: ByteString?
    /// What was given that means nothing without `--app`.
    private var needsApp: ByteString?
    /// Whether `--copy` was given.
    private(set) var isNumbered = false
    /// What was given that means nothing to `deploy`.
    private var notForDeploy: ByteString?
    var request = AppRequest(name: "")
    private var isReadinessGiven = false
    private var isStopGiven = false

    /// nodesockd's programs say that they are ready, and are told to stop, through their channel.
    mutating func followNodesockd() {
        if !isReadinessGiven { request.readiness = .message }
        if !isStopGiven { request.stopMessages = "\"shutdown\"" }
    }

    /// Takes an option of these; false if it is none.
    mutating func apply(_ option: Option, _ value: ByteString) throws(Malformed) -> Bool {
        switch option.key {
        case .app:
            name = try parseLabel(value, "an app's name")
            return true
        case .generation: request.generation = try parseLabel(value, "a generation's label")
        case .copies: request.copies = try parseNumber(value, 1...Bank.copies)
        case .copy: request.copy = try parseNumber(value, 0...(Bank.copies - 1))
        case .steering: request.steering = try parseChoice(value, SteeringChoice.allCases.map { ($0.name, $0) })
        case .balance: request.balance = try parseChoice(value, Balance.allCases.map { ($0.name, $0) })
        case .ready: (request.readiness, isReadinessGiven) = (try parseReadiness(value), true)
        case .readyTimeout:
            request.readyTimeout = try parseTime(value)
            if request.readyTimeout.count == 0 { throw Malformed("nothing is ready in no time") }
        case .settle: request.settle = try parseTime(value)
        case .stopSignal:
            guard let signal = parseSignal(value) else {
                throw Malformed("'\(value)' is no signal", remedy: "write a name like TERM or a number")
            }
            (request.stopSignal, isStopGiven) = (signal, true)
        case .stopMessage: (request.stopMessages, isStopGiven) = (try parseMessages(value), true)
        case .stopTimeout: request.stopTimeout = try parseTime(value)
        case .keepRetired: request.keepRetired = try parseNumber(value, 0...1000)
        case .retiredNice: request.retiredNice = try parseNice(value)
        case .memoryHigh: request.memoryHigh = try parseMemorySize(value)
        case .memoryMax: request.memoryMax = try parseMemorySize(value)
        case .appMemoryMax: request.appMemoryMax = try parseMemorySize(value)
        case .lockTimeout: request.lockTimeout = try parseTime(value)
        case .runDirectory: request.runDirectory = try parseRunDirectory(value)
        case .notifyDescriptor: request.notifyDescriptor = try parseDescriptor(value)
        case .logDescriptor: request.logDescriptor = try parseDescriptor(value)
        case .quiet: request.verbosity = .quiet
        case .debug: request.verbosity = .everything
        default: return false
        }
        if option.key == .copy {
            isNumbered = true
        } else {
            needsApp = needsApp ?? ByteString(stringLiteral: option.name)
        }
        switch option.key {
        case .copy, .notifyDescriptor, .logDescriptor: notForDeploy = ByteString(stringLiteral: option.name)
        default: break
        }
        return true
    }

    /// What is asked for of `deploy`, which numbers its copies itself.
    func checkedForDeploy() throws(Failure) -> AppRequest {
        guard let name else {
            throw .usage(
                "parse", "deploy", "the app's name is missing",
                remedy: "write reuseport-exec deploy APP [options] -- command")
        }
        if let notForDeploy { throw .usage("parse", notForDeploy, "deploy does this itself for each copy") }
        var result = request
        result.name = name
        try checkMemory(result)
        return result
    }

    private func checkMemory(_ result: AppRequest) throws(Failure) {
        try checkOrder("--memory-high", result.memoryHigh, "--memory-max", result.memoryMax)
        try checkOrder("--memory-high", result.memoryHigh, "--app-memory-max", result.appMemoryMax)
        try checkOrder("--memory-max", result.memoryMax, "--app-memory-max", result.appMemoryMax)
    }

    /// What is asked for; nil without `--app`.
    func checked() throws(Failure) -> AppRequest? {
        guard let name else {
            if let needsApp { throw .usage("parse", needsApp, "it goes with --app") }
            return nil
        }
        var result = request
        result.name = name
        guard result.copy < result.copies else {
            throw .usage(
                "parse", "--copy \(result.copy)",
                "copies are counted from 0, so the last of \(result.copies) is \(result.copies - 1)")
        }
        if result.copies > 1 && result.generation == nil {
            throw .usage(
                "parse", "--copies \(result.copies)", "copies find each other by their generation's label",
                remedy: "add --generation LABEL")
        }
        try checkMemory(result)
        return result
    }

    /// A limit that another one never lets be reached is a mistake.
    private func checkOrder(
        _ name: ByteString, _ size: UInt64?, _ other: ByteString, _ limit: UInt64?
    ) throws(Failure) {
        guard let size, let limit, size > limit else { return }
        throw .usage("parse", "\(name) \(memorySize(size))", "it is more than \(other) \(memorySize(limit))")
    }
}

/// A name that is a file's name as well: letters, digits, dots, hyphens and underscores.
func parseLabel(_ text: ByteString, _ what: ByteString) throws(Malformed) -> ByteString {
    let isPlain = text.bytes.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
    guard isPlain, !text.isEmpty, text.count <= 64, text.bytes[0] != UInt8(ascii: "."),
        text.bytes[0] != UInt8(ascii: "-")
    else {
        throw Malformed(
            "'\(text)' is no name", remedy: "\(what) has up to 64 letters, digits, dots, hyphens and underscores")
    }
    return text
}

/// `shutdown`, `stop,quit`, or a message that is written as JSON; as JSON, a line each.
private func parseMessages(_ text: ByteString) throws(Malformed) -> ByteString {
    if let first = text.bytes.first, ByteString("{[\"").contains(first) {
        // A line is a message.
        guard isJSON(text), !text.contains(UInt8(ascii: "\n")) else {
            throw Malformed("this is not JSON in one line", remedy: "write a word, or JSON like {\"event\":\"stop\"}")
        }
        return text
    }
    let words = text.split(on: UInt8(ascii: ","))
    if words.contains(where: { $0.isEmpty }) { throw Malformed("a message is empty") }
    return joined(words.map { json($0) }, by: "\n")
}

func parseNumber(_ text: ByteString, _ range: ClosedRange<Int>) throws(Malformed) -> Int {
    guard let number = text.decimal, number <= UInt64(range.upperBound), number >= UInt64(range.lowerBound) else {
        throw Malformed("'\(text)' is not a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return Int(number)
}

func parseTime(_ text: ByteString) throws(Malformed) -> Milliseconds {
    guard let time = Milliseconds(parsing: text) else {
        throw Malformed("'\(text)' is no time", remedy: "write 500ms, 30s, 5m or 1h")
    }
    return time
}

private func parseNice(_ text: ByteString) throws(Malformed) -> Int32 {
    let isNegative = text.hasPrefix("-")
    guard let number = (isNegative ? text.dropFirst(1) : text).decimal, number <= (isNegative ? 20 : 19) else {
        throw Malformed("'\(text)' is no nice value", remedy: "they go from -20 to 19")
    }
    return isNegative ? -Int32(number) : Int32(number)
}

func parseRunDirectory(_ text: ByteString) throws(Malformed) -> ByteString {
    guard text.hasPrefix("/") else { throw Malformed("'\(text)' does not start at the root") }
    return text
}

private func parseChoice<Choice>(_ text: ByteString, _ choices: [(ByteString, Choice)]) throws(Malformed) -> Choice {
    for (name, choice) in choices where name == text { return choice }
    throw Malformed("'\(text)' is none of \(joined(choices.map { $0.0 }, by: ", "))")
}
