import CLinux

/// Ready when a connection of ours has been taken from the listener's accept queue, by whatever process.
///
/// The connection is closed at once then, before another is made: a program that serves one client at a time reads
/// from it, in vain, until it is.
func awaitAcceptance(
    by listener: ListenerIdentity, _ watch: inout Watch, _ connect: () throws(Failure) -> Descriptor
) throws(Interruption) {
    let object: ByteString = "\(listener.name) (\(listener.address.description))"
    let began = MonotonicClock.milliseconds
    attempts: while true {
        // What the copy's server has set on its listener goes over to the connections.
        guard
            let interface = try orGiveUp(
                "look up listener", object, { () throws(Errno) in try interface(of: listener) })
        else {
            watch.see("\(object) is not listened to")
            try rest(began, &watch)
            continue
        }
        let probe = try attempt(connect)
        var looks = 0
        while true {
            // Its state is asked for anew each time: an event of it (the end of a connection, an error) has come then.
            let state = try orGiveUp("look up probe of", object) { () throws(Errno) in
                try acceptance(of: probe, interface: interface)
            }
            switch state {
            case .accepted:
                watch.log.detail("\(object) accepts")
                return
            case .broken(let reason):
                watch.see("the probe of \(object) was broken: \(reason.description)")
                try rest(began, &watch)
                continue attempts
            case .connecting:
                watch.see("the probe of \(object) is not connected")
            case .held:
                // TCP_DEFER_ACCEPT: the server wants to hear of connections that have sent something. An empty line is
                // what HTTP servers read over. One byte, so that no server leaves any unread: closing would be a reset.
                watch.see("the probe of \(object) is held back until it sends")
                looks += 1
                if looks == 2 { _ = clinux_send_newline(probe.number) }
            case .waiting:
                watch.see("the probe of \(object) was not accepted")
            }
            try rest(began, &watch, on: probe.number)
        }
    }
}

/// Until the connection has something to tell, or for a while that is short beside what has been waited already: who is
/// quick is to be found ready at once, and nobody be asked a thousand times.
private func rest(_ began: UInt64, _ watch: inout Watch, on probe: Int32 = -1) throws(Interruption) {
    let waited = MonotonicClock.milliseconds - began
    if waited < 5 {
        // poll(2) knows whole milliseconds only.
        usleep(200)
        _ = try watch.wait(atMost: 0)
        return
    }
    _ = try watch.wait(for: POLLIN, on: probe, atMost: min(max(waited / 16, 1), 20))
}

/// How far a connection of ours has come at the server.
enum Acceptance: Equatable {
    case connecting
    /// Established for us, not yet for the server.
    case held
    /// In the accept queue.
    case waiting
    /// Taken from it, and perhaps closed since.
    case accepted
    case broken(Errno)
}

/// The server's end of this very connection, as the kernel tells of it. The accept queue's length would not do: others
/// may come and go.
func acceptance(of probe: borrowing Descriptor, interface: UInt32) throws(Errno) -> Acceptance {
    let failure = Errno(rawValue: try option(probe, SOL_SOCKET, SO_ERROR))
    if failure.rawValue != 0 { return .broken(failure) }
    var remote: SocketAddress?
    if let reason = reason({ () throws(Errno) in remote = try remoteAddress(of: probe) }) {
        return reason.rawValue == ENOTCONN ? .connecting : .broken(reason)
    }
    // A greeting, or an orderly end: the connections in an accept queue that is given up are reset.
    let silence = reason { () throws(Errno) in _ = try receive(probe, atMost: 1, flags: Int32(MSG_PEEK)) }
    guard let silence else { return .accepted }
    if silence != .again { return .broken(silence) }
    guard let remote, let local = try localAddress(of: probe) else { throw .invalid }
    switch local {
    case .unix:
        // The kernel tells of a peer by its inode, and one that is in the accept queue has none.
        return try peerInode(ofUnixSocket: probe) == 0 ? .waiting : .accepted
    default:
        guard let record = try connection(from: remote, to: local, interface: interface) else { return .waiting }
        switch record.state {
        case .synReceived: return .held
        // Without a descriptor: not accepted.
        case .established: return record.inode == 0 ? .waiting : .accepted
        // Nothing but a listener is left: the end of it is on its way to us.
        case .listening: return .waiting
        // The server has begun to close it, so had accepted it.
        default: return .accepted
        }
    }
}

/// The interface to which a listener is bound, 0 for none; nil if there is no such listener (any more).
private func interface(of listener: ListenerIdentity) throws(Errno) -> UInt32? {
    guard let port = listener.address.port else {
        return try listeningUnixSockets().contains { $0.cookie == listener.cookie } ? 0 : nil
    }
    let all = try internetSockets(.tcp, family: listener.address.family, states: .listening, localPort: port)
    return all.first { $0.cookie == listener.cookie }?.interface
}
