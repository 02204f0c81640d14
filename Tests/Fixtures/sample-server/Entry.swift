import CLinux
import ReusePortKit

/// A small server to hand sockets to: it serves whatever listeners it is given by the LISTEN_* contract, and fails
/// in the ways its environment asks for. `Settings` has the list.
@c(sample_server_main)
public func entry(argc: Int32, argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Int32 {
    // Before anything of ours is opened: what this lists was inherited.
    let inherited = openDescriptors()
    clinux_ignore_signal(SIGPIPE)
    let first = argc > 1 ? argv[1].map { ByteString(cString: $0) } : nil
    let settings = Settings(firstArgument: first)
    let listeners = inheritedListeners()
    if listeners.isEmpty {
        say("no listener inherited: LISTEN_FDS and LISTEN_PID do not name one")
        return 111
    }
    guard let server = Server(settings: settings, listeners: listeners, inherited: inherited) else { return 111 }
    return server.run()
}

/// One line on standard error.
func say(_ text: ByteString) { put("sample-server: \(text)\n", on: 2) }

/// Writes everything, as far as it can be written.
func put(_ text: ByteString, on descriptor: Int32) {
    _ = text.bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
}
