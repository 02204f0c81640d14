import CLinux

/// Makes room for as many waiting connections as the system allows, whatever the program has asked for (Node asks for
/// 511), and returns how many that are. listen(2) may be called again at any time.
func widenBacklog(_ held: borrowing Descriptor, of listener: Listener) throws(Failure) -> Int {
    let identity = listener.identity
    if identity.transport == .udp { return 0 }
    try step("widen the backlog of", "socket \(identity.name)") { () throws(Errno) in
        try listen(held, backlog: Int32.max)
    }
    return acceptLimit(of: identity)
}

/// How many connections may wait at a listener.
@inline(never)
func acceptLimit(of identity: ListenerIdentity) -> Int {
    if identity.transport == .unix {
        return (try? listeningUnixSockets())?.first { $0.cookie == identity.cookie }.map { Int($0.acceptLimit) } ?? 0
    }
    let all = try? internetSockets(.tcp, states: .listening, localPort: identity.address.port)
    return all?.first { $0.cookie == identity.cookie }.map { Int($0.acceptLimit) } ?? 0
}
