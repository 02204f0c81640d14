import CLinux

/// A socket for a connection to one listener that clients do not reach yet.
///
/// The selection program recognizes it by its source: 127.0.0.1 or ::1, and a port that nobody else has while it is
/// bound. It directs it to the listener until connect(2) returns, under the app's lock.
struct Probe: ~Copyable {
    let port: UInt16
    private let identity: ListenerIdentity
    private let socket: Descriptor

    /// Binds a socket to a free port.
    init(of identity: ListenerIdentity) throws(Failure) {
        let object: ByteString = "a probe to socket \(identity.name)"
        let socket = try step("make", object, remedy: descriptorRemedy) { () throws(Errno) in
            let source = loopback(for: identity)
            let socket = try ReusePortKit.socket(
                family: source.family, type: Int32(SOCK_STREAM.rawValue), flags: Int32(SOCK_NONBLOCK.rawValue))
            try bind(socket, to: source)
            return socket
        }
        port = try step("find", "the port of \(object)") { () throws(Errno) in
            try localAddress(of: socket)?.port ?? 0
        }
        self.identity = identity
        self.socket = socket
    }

    /// Connects. On loopback the handshake is over when connect(2) returns; if the kernel is busy, a moment later.
    func connect() {
        let address = reachableAddress(of: identity)
        guard reason({ () throws(Errno) in try ReusePortKit.connect(socket, to: address) })?.rawValue == EINPROGRESS
        else { return }
        _ = try? waitForEvents(POLLOUT, on: socket, until: Deadline(after: Milliseconds(500)))
    }

    consuming func takeSocket() -> Descriptor { socket }
}

private func loopback(for identity: ListenerIdentity) -> SocketAddress {
    if case .ipv6 = identity.address, !identity.isDualStack { return .ipv6(high: 0, low: 1, port: 0, scope: 0) }
    return .ipv4(0x7F00_0001, port: 0)
}

/// The address at which this host reaches the listener.
private func reachableAddress(of identity: ListenerIdentity) -> SocketAddress {
    let port = identity.address.port ?? 0
    switch identity.address {
    case .ipv4(0, _), .ipv6(0, 0, _, _): return loopback(for: identity).with(port: port)
    default: return identity.address
    }
}
