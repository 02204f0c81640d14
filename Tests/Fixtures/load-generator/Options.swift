import CLinux
import ReusePortKit

let usage: ByteString = """
    usage: load-generator [options] ADDRESS
      ADDRESS                        127.0.0.1:80, [::1]:80, unix:/path
      --connections N                clients in the closed loop (64)
      --requests-per-connection N    1: a new connection for each request (1)
      --path PATH                    the path of the requests (/)
      --timeout TIME                 a request that takes longer is lost (10s)
      --record FILE                  a line per request: start_us latency_us outcome pid; start_us is CLOCK_MONOTONIC
      --get                          one request; prints the body of its answer
     until the first of:
      --duration TIME                500ms, 10s, 1m (10s if nothing else is given)
      --requests N                   that many requests are done
      --until-file FILE              the file exists
    Prints one JSON object. Exit code: 0 nothing lost, 1 something lost, 100 usage, 111 system.

    """

struct UsageError: Error {
    let message: ByteString
}

struct Options {
    var address: Address
    var connections = 64
    var requestsPerConnection = 1
    var path: ByteString = "/"
    /// Times are in microseconds.
    var timeout: Int64 = 10_000_000
    var duration: Int64?
    var requests: Int?
    var untilFile: ByteString?
    var record: ByteString?
    var get = false

    init(_ arguments: [ByteString]) throws(UsageError) {
        var addressWord: ByteString?
        address = Address.none
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            guard argument.hasPrefix("--") else {
                if addressWord != nil { throw UsageError(message: "one address only: \(argument)") }
                addressWord = argument
                continue
            }
            switch argument {
            case "--get": get = true
            default:
                guard let value = rest.popFirst() else { throw UsageError(message: "\(argument) needs a value") }
                try set(argument, value)
            }
        }
        guard let addressWord else { throw UsageError(message: "no address; --help shows the options") }
        address = try Address(addressWord)
        if get {
            connections = 1
            requests = 1
        }
        if duration == nil, requests == nil, untilFile == nil { duration = 10_000_000 }
    }

    private mutating func set(_ option: ByteString, _ value: ByteString) throws(UsageError) {
        switch option {
        case "--connections": connections = try positive(option, value)
        case "--requests-per-connection": requestsPerConnection = try positive(option, value)
        case "--requests": requests = try positive(option, value)
        case "--path": path = value
        case "--timeout": timeout = try time(option, value)
        case "--duration": duration = try time(option, value)
        case "--until-file": untilFile = value
        case "--record": record = value
        default: throw UsageError(message: "unknown option \(option)")
        }
    }
}

private func positive(_ option: ByteString, _ value: ByteString) throws(UsageError) -> Int {
    guard let number = value.decimal, number > 0, number < 1 << 32 else {
        throw UsageError(message: "\(option) takes a positive number, not \(value)")
    }
    return Int(number)
}

private func time(_ option: ByteString, _ value: ByteString) throws(UsageError) -> Int64 {
    let units: [(ByteString, Int64)] = [("ms", 1000), ("s", 1_000_000), ("m", 60_000_000)]
    for (unit, factor) in units where value.hasSuffix(unit) {
        guard let number = value.prefix(value.count - unit.count).decimal, number < 1 << 32 else { continue }
        return Int64(number) * factor
    }
    throw UsageError(message: "\(option) takes a time such as 500ms, 10s, 1m, not \(value)")
}
