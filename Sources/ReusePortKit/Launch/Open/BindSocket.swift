import CLinux

/// A socket that has been bound.
struct BoundSocket: ~Copyable {
    let descriptor: Descriptor
    /// The address to which it is bound, with the port that the kernel chose.
    let address: SocketAddress
}

/// Creates and binds a socket, and lets it listen unless the plan says otherwise.
///
/// `takesStale` allows it to replace a Unix socket without a listener.
@inline(never)
func bindSocket(
    _ plan: SocketPlan, leftovers: inout Leftovers, takesStale: Bool = true
) throws(Failure) -> BoundSocket {
    if let path = plan.address.path {
        return try bindUnixSocket(plan, path: path, leftovers: &leftovers, takesStale: takesStale)
    }
    let socket = try step("create", "socket \(plan.name)", remedy: descriptorRemedy) { () throws(Errno) in
        try ReusePortKit.socket(
            family: plan.address.family,
            type: Int32(plan.transport == .udp ? SOCK_DGRAM.rawValue : SOCK_STREAM.rawValue))
    }
    try setOptions(of: socket, plan)
    do throws(Errno) {
        try bind(socket, to: plan.address)
    } catch {
        throw explainBind(error, plan)
    }
    try listenIfWanted(socket, plan)
    let address = try chosenAddress(of: socket, plan)
    return BoundSocket(descriptor: socket, address: address)
}

private func setOptions(of socket: borrowing Descriptor, _ plan: SocketPlan) throws(Failure) {
    func set(
        _ what: ByteString, remedy: ByteString? = nil, _ call: () throws(Errno) -> Void
    ) throws(Failure) {
        try step("set", "\(what) of socket \(plan.name)", remedy: { _ in remedy }, call)
    }
    if plan.transport == .tcp {
        // Without it, connections in TIME_WAIT of an earlier server that did not share the port would keep us from it.
        // For UDP this option means something else: sharing with sockets of any uid.
        try set("SO_REUSEADDR") { () throws(Errno) in try setOption(socket, SOL_SOCKET, SO_REUSEADDR, 1) }
    }
    try set("SO_REUSEPORT") { () throws(Errno) in try setOption(socket, SOL_SOCKET, SO_REUSEPORT, 1) }
    if plan.address.family == AF_INET6 {
        // Set to 0 as well, because otherwise net.ipv6.bindv6only decides.
        try set("IPV6_V6ONLY") { () throws(Errno) in
            try setOption(socket, Int32(IPPROTO_IPV6), IPV6_V6ONLY, plan.isDualStack ? 0 : 1)
        }
    }
    if plan.isFreebind {
        try set("IP_FREEBIND") { () throws(Errno) in try setOption(socket, Int32(IPPROTO_IP), IP_FREEBIND, 1) }
    }
    if let device = plan.device {
        try set("SO_BINDTODEVICE", remedy: "see ip link for the interfaces of this host") { () throws(Errno) in
            try setOption(socket, SOL_SOCKET, SO_BINDTODEVICE, device)
        }
    }
    if plan.isNodelay {
        try set("TCP_NODELAY") { () throws(Errno) in try setOption(socket, Int32(IPPROTO_TCP), TCP_NODELAY, 1) }
    }
}

/// listen(2), unless the socket is for datagrams or the plan has it bound only.
func listenIfWanted(_ socket: borrowing Descriptor, _ plan: SocketPlan) throws(Failure) {
    guard plan.isListening, plan.transport != .udp else { return }
    do throws(Errno) {
        // The kernel lowers it to net.core.somaxconn.
        try listen(socket, backlog: plan.backlog ?? Int32.max)
    } catch {
        throw explainListen(error, plan)
    }
}

private func chosenAddress(of socket: borrowing Descriptor, _ plan: SocketPlan) throws(Failure) -> SocketAddress {
    guard plan.address.port == 0 else { return plan.address }
    let address = try step("find the address of", "socket \(plan.name)") { () throws(Errno) in
        try localAddress(of: socket)
    }
    return address ?? plan.address
}
