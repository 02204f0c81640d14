import CLinux

/// A private connection to one listener of one copy that no client can see yet.
///
/// The selection program knows it by its source: 127.0.0.1 or ::1, and a port that is ours alone while it is bound. For
/// the moment that connect(2) takes, under the app's lock, the listener is what probes are directed to.
func connectProbe(
    to listener: CopyRecord.Listener, _ held: borrowing Descriptor, _ registry: borrowing Registry
) throws(Failure) -> Descriptor {
    if listener.identity.transport == .unix { return try connectProbe(toPathOf: listener.identity) }
    let lock = try registry.lock()
    var state = AppState.forProbes(registry)
    let probe = try connectProbe(to: listener.identity, held, &state)
    if case .index? = state.app.steering { try registry.store(state.app) }
    lock.release(closing: ())
    return probe
}

extension AppState {
    /// Two banks need the maps only; places in the groups are found by those who have them.
    static func forProbes(_ registry: borrowing Registry) -> AppState {
        let state = AppState(readingAppOf: registry)
        if case .twoBanks? = state.app.steering { return state }
        return reconciled(registry)
    }
}

/// The path it was bound to, which no client knows, needs no program to lead there.
func connectProbe(toPathOf identity: ListenerIdentity) throws(Failure) -> Descriptor {
    let probe = try step("make", "a probe to socket \(identity.name)", remedy: descriptorRemedy) { () throws(Errno) in
        try socket(family: AF_UNIX, type: Int32(SOCK_STREAM.rawValue), flags: Int32(SOCK_NONBLOCK.rawValue))
    }
    _ = reason { () throws(Errno) in try connect(probe, to: identity.address) }
    return probe
}

/// The same under the lock.
func connectProbe(
    to identity: ListenerIdentity, _ held: borrowing Descriptor, _ state: inout AppState
) throws(Failure) -> Descriptor {
    let object: ByteString = "a probe to socket \(identity.name)"
    let probe = try step("make", object, remedy: descriptorRemedy) { () throws(Errno) in
        try boundProbe(for: identity)
    }
    let port = try step("find", "the port of \(object)") { () throws(Errno) in try localAddress(of: probe)?.port ?? 0 }
    switch state.app.steering {
    case .twoBanks(let id, let slots)?:
        try step("connect", object) { () throws(Errno) in
            let maps = try AppMaps(selector: id, slots: slots)
            try maps.place(held, of: identity.name, in: .probe)
            var word = try maps.selector.load()
            word.probePort = port
            try maps.selector.store(word)
            connectAndWait(probe, to: probeAddress(of: identity))
            word.probePort = nil
            try maps.selector.store(word)
            try maps.clear(identity.name, .probe)
        }
    case .index?:
        try state.followGroups([identity])
        // The clients of the live copies are to notice nothing.
        let live = state.app.live
        let places = live.map { state.places(of: $0.order, in: identity.name) } ?? []
        let balance = live?.balance ?? .random
        let place = state.place(of: identity)
        try step("connect", object) { () throws(Errno) in
            if let place { try direct(held, to: places, balance, probe: (port, place)) }
            connectAndWait(probe, to: probeAddress(of: identity))
            try direct(held, to: places, balance)
        }
    case .off?, nil:
        connectAndWait(probe, to: probeAddress(of: identity))
    }
    return probe
}

/// A socket with a source that is ours alone.
private func boundProbe(for identity: ListenerIdentity) throws(Errno) -> Descriptor {
    let source = loopback(for: identity)
    let probe = try socket(
        family: source.family, type: Int32(SOCK_STREAM.rawValue), flags: Int32(SOCK_NONBLOCK.rawValue))
    try bind(probe, to: source)
    return probe
}

private func loopback(for identity: ListenerIdentity) -> SocketAddress {
    if case .ipv6 = identity.address, !identity.isDualStack { return .ipv6(high: 0, low: 1, port: 0, scope: 0) }
    return .ipv4(0x7F00_0001, port: 0)
}

/// Where the listener can be reached from this host.
private func probeAddress(of identity: ListenerIdentity) -> SocketAddress {
    let port = identity.address.port ?? 0
    switch identity.address {
    case .ipv4(0, _), .ipv6(0, 0, _, _): return loopback(for: identity).with(port: port)
    default: return identity.address
    }
}

/// The handshake is over when connect(2) returns, on loopback; if the kernel is busy, a moment later.
private func connectAndWait(_ probe: borrowing Descriptor, to address: SocketAddress) {
    guard reason({ () throws(Errno) in try connect(probe, to: address) })?.rawValue == EINPROGRESS else { return }
    _ = try? waitForEvents(POLLOUT, on: probe, until: Deadline(after: Milliseconds(500)))
}
