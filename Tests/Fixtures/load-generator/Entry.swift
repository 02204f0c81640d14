import CLinux
import ReusePortKit

/// Sends HTTP requests in a closed loop, and counts the outcome of each. `usage` lists the options.
@c(load_generator_main)
public func entry(argc: Int32, argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Int32 {
    clinux_ignore_signal(SIGPIPE)
    var arguments: [ByteString] = []
    for index in 1..<max(1, Int(argc)) {
        if let argument = argv[index] { arguments.append(ByteString(cString: argument)) }
    }
    if arguments == ["--help"] {
        put(usage, on: 1)
        return 0
    }
    let options: Options
    do throws(UsageError) {
        options = try Options(arguments)
    } catch {
        put("load-generator: fatal: \(error.message.printable)\n", on: 2)
        return 100
    }
    guard let load = Load(options) else { return 111 }
    load.run()
    if options.get {
        put(load.lastBody, on: 1)
        if load.tally.lost > 0 { put("load-generator: \(load.tally.summary.json)\n", on: 2) }
    } else {
        put("\(load.tally.summary.json)\n", on: 1)
    }
    return load.tally.lost == 0 ? 0 : 1
}

/// Writes all of a text; stops at an error.
func put(_ text: ByteString, on descriptor: Int32) {
    var start = 0
    while start < text.count {
        let size = text.bytes.withUnsafeBytes { write(descriptor, $0.baseAddress! + start, $0.count - start) }
        guard size > 0 else { return }
        start += size
    }
}
