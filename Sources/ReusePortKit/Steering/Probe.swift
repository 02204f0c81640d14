import CLinux

/// A socket for a private connection to one listener that no client can see yet.
///
/// The selection program knows it by its source: 127.0.0.1 or ::1, and a port that is ours alone while it is bound. For
/// the moment that connect(2) takes, under the app's lock, the listener is what probes are directed to.
struct Probe: ~Copyable {
    let port: UInt16
    private let identity: ListenerIdentity
    private let socket: Descriptor

    /// A socket with a source that is ours alone.
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

    /// On loopback the handshake is over when connect(2) returns; if the kernel is busy, a moment later.
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

/// Where the listener can be reached from this host.
private func reachableAddress(of identity: ListenerIdentity) -> SocketAddress {
    let port = identity.address.port ?? 0
    switch identity.address {
    case .ipv4(0, _), .ipv6(0, 0, _, _): return loopback(for: identity).with(port: port)
    default: return identity.address
    }
}
