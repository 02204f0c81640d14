import CLinux

/// The condition under which a copy counts as ready, and the deadline for it.
struct ReadinessCheck {
    let readiness: Readiness
    let listeners: [ListenerIdentity]
    let deadline: Deadline
    /// The time that was asked for; nil: from now until the deadline.
    var allowed: Milliseconds?
    /// A descriptor that becomes readable when something more urgent happens.
    var interruption: Int32?
    /// The listeners that a cluster's worker may ask for through its Node channel.
    var offered: [OfferedListener] = []
    let report: (ReadinessEvent) -> Void
}

/// Waits until a copy is ready. Fails at once if the copy ends.
///
/// `connect` returns a private, non-blocking stream connection, made or being made, to a listener of exactly this copy,
/// by its index in `listeners`. It is called again for each attempt; an error that it throws is final.
///
/// The caller need not be the copy's parent. For `fd:N` it must not hold the pipe's write end.
func awaitReadiness(
    _ check: ReadinessCheck, of copy: borrowing ProcessHandle, channel: borrowing ReadinessChannel,
    connect: (Int) throws(Failure) -> Descriptor
) throws(NotReady) {
    let reader: ChannelReader? =
        switch channel.node {
        case .some(let far): ChannelReader(far, offering: check.offered)
        case .none: nil
        }
    var watch = Watch(check, of: copy, reader: reader)
    do throws(NotReady) {
        switch check.readiness {
        case .accept: try awaitAcceptance(byAll: check.listeners, &watch, connect: connect)
        case .http(let request) where request.isTLS:
            try awaitSuccess(
                of: request.command, about: copy.identity.pid, check.listeners, &watch, connect: connect)
        case .http(let request):
            let index = try find(request.socket, in: check.listeners)
            try awaitGoodAnswer(request, &watch) { () throws(Failure) in try connect(index) }
        case .notify, .acknowledgement, .descriptor:
            try awaitWord(check.readiness, copy.identity.pid, channel, &watch)
        case .message: if let reader { try awaitMessage(reader, &watch) }
        case .command(let command):
            try awaitSuccess(of: command, about: copy.identity.pid, check.listeners, &watch, connect: connect)
        case .none: break
        }
        // It may have ended just after it was ready.
        if copy.hasExited { throw .ended(nil) }
        channel.leave()
    } catch {
        channel.leave()
        if case .ended = error { throw .ended(end(of: copy)) }
        throw error
    }
}

private func find(
    _ socket: ByteString, in listeners: [ListenerIdentity]
) throws(NotReady) -> Int {
    guard let index = listeners.firstIndex(where: { $0.name == socket && $0.transport != .udp }) else {
        throw .failed(.usage("wait for", "", "there is no stream socket '\(socket)'"))
    }
    return index
}

/// Waits until the copy itself says that it is ready: by a notification, an acknowledgement or a newline.
private func awaitWord(
    _ readiness: Readiness, _ pid: Int32, _ channel: borrowing ReadinessChannel,
    _ watch: inout Watch
) throws(NotReady) {
    switch channel.reader {
    case .some(let reader):
        if case .descriptor(let number) = readiness {
            try awaitNewline(on: reader, descriptor: number, &watch)
        } else if case .acknowledgement = readiness {
            try awaitAcknowledgement(on: reader, &watch)
        } else {
            try awaitNotification(from: pid, on: reader, &watch)
        }
    case .none: throw .failed(.usage("wait for", "", "the channel is not for this form of readiness"))
    }
}
