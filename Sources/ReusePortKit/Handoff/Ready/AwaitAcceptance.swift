import CLinux

/// Ready when every stream listener has accepted a probe.
func awaitAcceptance(
    byAll listeners: [ListenerIdentity], _ watch: inout Watch, connect: (Int) throws(Failure) -> Descriptor
) throws(NotReady) {
    for (index, listener) in listeners.enumerated() where listener.transport != .udp {
        try awaitAcceptance(by: listener, &watch) { () throws(Failure) in try connect(index) }
    }
}

/// Waits until a connection of ours, the probe, has been taken from the listener's accept queue, by any process.
///
/// The probe is then closed before another is made, because a program that serves one client at a time would read from
/// it until it is closed.
@inline(never)
private func awaitAcceptance(
    by listener: ListenerIdentity, _ watch: inout Watch, _ connect: () throws(Failure) -> Descriptor
) throws(NotReady) {
    let object: ByteString = "\(listener.name) (\(listener.address.description))"
    let began = MonotonicClock.milliseconds
    while true {
        guard try orNotReady("look up listener", object, { () throws(Errno) in try isListening(listener) }) else {
            watch.see(.notListening(object))
            try rest(since: began, &watch)
            continue
        }
        let probe = try orNotReady(connect)
        if try isAccepted(probe, object, began, &watch) { return }
    }
}

/// Follows one probe: true when it was accepted, false when it was broken.
private func isAccepted(
    _ probe: borrowing Descriptor, _ object: ByteString, _ began: UInt64, _ watch: inout Watch
) throws(NotReady) -> Bool {
    let diagnostics = try orNotReady("look up probe of", object) { () throws(Errno) in try DiagnosticSocket() }
    var looks = 0
    var hasEvent = true
    while true {
        // The state also tells the probe's end or error, so nothing else is looked at.
        let state = try orNotReady("look up probe of", object) { () throws(Errno) in
            try hasEvent ? acceptance(of: probe, diagnostics) : acceptanceByServer(of: probe, diagnostics)
        }
        switch state {
        case .accepted:
            watch.mention(.accepts(object))
            return true
        case .broken(let errno):
            watch.see(.probeBroken(object, errno))
            try rest(since: began, &watch)
            return false
        case .connecting: watch.see(.probeNotConnected(object))
        case .held:
            watch.see(.probeHeldBack(object))
            looks += 1
            // HTTP servers skip an empty line. It is one byte, so that no server closes with a rest unread, because then
            // the kernel would reset the connection.
            if looks == 2 { _ = clinux_send_newline(probe.number) }
        case .waiting: watch.see(.probeNotAccepted(object))
        }
        hasEvent = try rest(since: began, &watch, on: probe.number)
    }
}

/// Waits until the probe has an event, or for a fraction of the time waited so far: a quick program is found ready at
/// once, and a slow one is not asked a thousand times. The kernel has no event for the acceptance of a connection.
///
/// Returns whether the probe may have had an event.
@inline(never)
@discardableResult
private func rest(since began: UInt64, _ watch: inout Watch, on probe: Int32? = nil) throws(NotReady) -> Bool {
    let waited = MonotonicClock.milliseconds - began
    if waited < 5 {
        // poll(2) knows whole milliseconds only.
        usleep(200)
        _ = try watch.wait(atMost: 0)
        return true
    }
    return try watch.wait(for: POLLIN, on: probe, atMost: min(max(waited / 32, 1), 20))
}

/// How far the server has come with a connection of ours.
enum Acceptance: Equatable {
    case connecting
    /// Established for us, but not yet for the server: it waits for data (TCP_DEFER_ACCEPT).
    case held
    /// In the accept queue.
    case waiting
    /// Taken from the queue, and perhaps closed since.
    case accepted
    case broken(Errno)
}

/// Looks at our end of this connection, and then at the server's.
func acceptance(
    of probe: borrowing Descriptor, _ diagnostics: borrowing DiagnosticSocket
) throws(Errno) -> Acceptance {
    let failure = Errno(rawValue: try option(probe, SOL_SOCKET, SO_ERROR))
    if failure.rawValue != 0 { return .broken(failure) }
    if let errno = reason({ () throws(Errno) in _ = try remoteAddress(of: probe) }) {
        return errno.rawValue == ENOTCONN ? .connecting : .broken(errno)
    }
    // A greeting or an orderly end comes from a server that has accepted: when a listener closes, the kernel resets the
    // connections in its queue.
    let silence = reason { () throws(Errno) in _ = try receive(probe, atMost: 1, flags: Int32(MSG_PEEK)) }
    guard let silence else { return .accepted }
    return silence == .again ? try acceptanceByServer(of: probe, diagnostics) : .broken(silence)
}

/// Asks the kernel for the server's end of this connection. The length of the accept queue would tell nothing, because
/// other clients come and go.
private func acceptanceByServer(
    of probe: borrowing Descriptor, _ diagnostics: borrowing DiagnosticSocket
) throws(Errno) -> Acceptance {
    guard let remote = try? remoteAddress(of: probe), let local = try localAddress(of: probe) else {
        return .connecting
    }
    switch local {
    case .unix:
        // The kernel names a peer by its inode, and one in the accept queue has none.
        return try peerInode(ofUnixSocket: probe, diagnostics) == 0 ? .waiting : .accepted
    default:
        // It may be bound to lo, as its listener is; that is always the first interface.
        guard let record = try connection(from: remote, to: local, interface: 1, diagnostics) else { return .waiting }
        switch record.state {
        case .synReceived: return .held
        // A socket without an inode belongs to no descriptor yet.
        case .established: return record.inode == 0 ? .waiting : .accepted
        // Only a listener is found: the connection has gone, and that is on its way to us.
        case .listening: return .waiting
        // The server has begun to close the connection, so had accepted it.
        default: return .accepted
        }
    }
}

@inline(never)
private func isListening(_ listener: ListenerIdentity) throws(Errno) -> Bool {
    guard let port = listener.address.port else {
        return try listeningUnixSockets().contains { $0.cookie == listener.cookie }
    }
    let all = try internetSockets(.tcp, family: listener.address.family, states: .listening, localPort: port)
    return all.contains { $0.cookie == listener.cookie }
}
