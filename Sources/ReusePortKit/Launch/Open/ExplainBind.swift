import CLinux

/// Says why bind(2) failed, and what the user can do about it.
func explainBind(_ errno: Errno, _ plan: SocketPlan) -> Failure {
    var remedy: ByteString?
    switch errno {
    case .accessDenied:
        let start = unprivilegedPortStart() ?? 1024
        if let port = plan.address.port, port < start {
            remedy =
                "ports below \(start) need root, CAP_NET_BIND_SERVICE, or sysctl net.ipv4.ip_unprivileged_port_start=\(port)"
        }
    case .addressNotAvailable:
        remedy = "\(plan.address.host) is no address of this host; see ip address, or add the option freebind"
    case .addressInUse:
        return explainInUse(plan)
    case .invalid where plan.address.family == AF_INET6:
        remedy = "a link-local address needs its interface: [ADDRESS%INTERFACE]:PORT"
    default:
        break
    }
    return Failure("bind", plan.object, errno, remedy: remedy)
}

/// Says why listen(2) failed.
func explainListen(_ errno: Errno, _ plan: SocketPlan) -> Failure {
    if errno == .addressInUse { return explainInUse(plan) }
    return Failure("listen on", plan.object, errno)
}

private func explainInUse(_ plan: SocketPlan) -> Failure {
    let attempt = BindAttempt(
        internetProtocol: plan.transport == .udp ? .udp : .tcp, address: plan.address, isIPv6Only: !plan.isDualStack,
        interface: plan.device.map { $0.withCString { if_nametoindex($0) } } ?? 0, uid: geteuid())
    let explanation = explainAddressInUse(attempt)
    return Failure(.system, "bind", plan.object, explanation.reason, remedy: explanation.remedy)
}
