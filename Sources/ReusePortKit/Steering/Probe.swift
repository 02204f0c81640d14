import CLinux

/// A socket for a connection to one listener that clients do not reach yet.
///
/// The selection program recognizes it by its source: 127.0.0.1 or ::1, and a port that nobody else has while it is
/// bound. It directs it to the listener until connect(2) returns, under the app's lock. The kernel runs it only for
/// connections to the listener's group, so the probe goes to an address where no other listener stands in front.
struct Probe: ~Copyable {
    let port: UInt16
    private let destination: SocketAddress
    private let socket: Descriptor
    private var failure: Errno?

    /// Binds a socket to a free port.
    init(of identity: ListenerIdentity, held: borrowing Descriptor) throws(Failure) {
        var front: SocketRecord?
        do throws(Errno) {
            var number: UInt32 = 1
            while let address = address(number, of: identity), try !leads(address, to: identity, held, &front) {
                number += 1
            }
            guard let destination = address(number, of: identity) else { throw .busy }
            let socket = try ReusePortKit.socket(
                family: destination.family, type: Int32(SOCK_STREAM.rawValue), flags: Int32(SOCK_NONBLOCK.rawValue))
            if clinux_loopback_is_up(socket.number) == 0 { throw Errno(rawValue: ENETDOWN) }
            try bindToFreePort(socket, loopback(destination.family))
            port = try localAddress(of: socket)?.port ?? 0
            self.destination = destination
            self.socket = socket
        } catch {
            throw unreachable(identity, error, front)
        }
    }

    /// Connects. On loopback the handshake is over when connect(2) returns; if the kernel is busy, a moment later.
    mutating func connect() {
        failure = reason { () throws(Errno) in try ReusePortKit.connect(socket, to: destination) }
        guard failure?.rawValue == EINPROGRESS else { return }
        failure = nil
        _ = try? waitForEvents(POLLOUT, on: socket, until: Deadline(after: Milliseconds(500)))
    }

    /// Returns the connection. Fails if there was no way to the listener, or if another came to stand in front of it.
    consuming func takeSocket(_ identity: ListenerIdentity, held: borrowing Descriptor) throws(Failure) -> Descriptor {
        var front: SocketRecord?
        do throws(Errno) {
            if let failure { throw failure }
            if try !leads(destination, to: identity, held, &front) { throw .busy }
        } catch {
            throw unreachable(identity, error, front)
        }
        return socket
    }
}

/// The forms of readiness that need no probe.
var readinessWithoutProbe: ByteString { "--ready notify, fd:N, exec:COMMAND or none" }

/// Without steering a probe would reach any member of the group.
let unsteered = Failure.usage(
    "parse", "--steering off", "without steering there is no way to probe one copy",
    remedy: "add \(readinessWithoutProbe)")

/// Says why there is no way to a listener; EBUSY: because this one stands in front of it.
@inline(never)
private func unreachable(_ identity: ListenerIdentity, _ errno: Errno, _ front: SocketRecord?) -> Failure {
    var reason = errno.description
    var remedy = descriptorRemedy(errno) ?? "see ip address"
    if errno == .addressInUse { remedy = "widen net.ipv4.ip_local_port_range" }
    if errno == .busy {
        reason = "no connection of this host gets there"
        remedy = "stop that"
    }
    if let front {
        let holder = (try? holders(ofSocketInodes: [front.inode]))?.found.first
        reason = holder.map { named($0.process, $0.name) } ?? userDescription(front.uid)
        reason.append(" stands in front of it at \(front.address.description)")
    }
    let object: ByteString = "a probe to socket \(identity.name) (\(identity.address.description))"
    return Failure(.negative, "make", object, reason, remedy: "\(remedy), or use \(readinessWithoutProbe)")
}

/// 127.0.0.1 or ::1.
func loopback(_ family: Int32) -> SocketAddress {
    family == AF_INET ? .ipv4(0x7F00_0001, port: 0) : .ipv6(high: 0, low: 1, port: 0, scope: 0)
}

/// Binds to a port that the kernel chooses. Others may have taken all of these; then root takes one below 1024, as
/// rresvport(3) does.
func bindToFreePort(_ socket: borrowing Descriptor, _ address: SocketAddress) throws(Errno) {
    var first: Errno?
    var port: UInt16 = 0
    while let failure = reason({ () throws(Errno) in try bind(socket, to: address.with(port: port)) }) {
        first = first ?? failure
        port = port == 0 ? 1023 : port - 1
        if first != .addressInUse || port < 512 { throw first ?? failure }
    }
}

/// The addresses at which this host may reach a listener, numbered from 1.
private func address(_ number: UInt32, of identity: ListenerIdentity) -> SocketAddress? {
    switch identity.address {
    case .ipv6(0, 0, let port, _) where number == (identity.isDualStack ? 255 : 1):
        loopback(AF_INET6).with(port: port)
    case .ipv4(0, let port),
        .ipv6(0, 0, let port, _) where identity.isDualStack:
        number < 255 ? .ipv4(0x7F00_0000 + number, port: port) : nil
    default: number == 1 ? identity.address : nil
    }
}

/// Whether a connection over lo to an address gets to the listener's group, as the kernel would choose now. The listener
/// that gets it instead is noted unless one is already: a wildcard listener gets nothing where another has the address.
@inline(never)
private func leads(
    _ address: SocketAddress, to identity: ListenerIdentity, _ held: borrowing Descriptor, _ front: inout SocketRecord?
) throws(Errno) -> Bool {
    // lo is always the first interface. Of a group the kernel names any member, even a hidden one.
    guard let found = try connection(from: address, to: loopback(address.family), interface: 1) else { return false }
    // The program may have bound its listener to an interface.
    let interface = (try? option(held, SOL_SOCKET, CLINUX_SO_BINDTOIFINDEX)) ?? 0
    if found.address == identity.address, found.interface == UInt32(interface) || found.isHidden,
        (found.isIPv6Only == false) == identity.isDualStack
    {
        return true
    }
    if front == nil { front = found }
    return false
}
