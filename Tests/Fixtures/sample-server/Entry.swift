import CLinux
import ReusePortKit

/// A small server for tests: serves the listeners that it gets through LISTEN_FDS, and fails in the ways that its
/// environment asks for. `Settings` lists them.
@c(sample_server_main)
public func entry(argc: Int32, argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Int32 {
    // Lists the inherited descriptors before this program opens any.
    let inherited = openDescriptors()
    clinux_ignore_signal(SIGPIPE)
    let first = argc > 1 ? argv[1].map { ByteString(cString: $0) } : nil
    let settings = Settings(firstArgument: first)
    let listeners: [Listener]
    do throws(Failure) {
        listeners = try inheritedListeners()
    } catch {
        say(error.message)
        return error.code.rawValue
    }
    if listeners.isEmpty {
        say("no listener inherited: set LISTEN_FDS and LISTEN_PID")
        return 111
    }
    guard let server = Server(settings: settings, listeners: listeners, inherited: inherited) else { return 111 }
    return server.run()
}

/// Writes a line to standard error.
func say(_ text: ByteString) { put("sample-server: \(text)\n", on: 2) }

/// Writes a text; ignores errors.
func put(_ text: ByteString, on descriptor: Int32) {
    _ = text.bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
}
