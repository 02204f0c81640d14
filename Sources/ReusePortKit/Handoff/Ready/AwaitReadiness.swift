import CLinux

/// Waits until the copy is ready; a failure says why it is not: it has ended (noticed at once), or the deadline has
/// passed, with what was seen last.
///
/// `connect` gives a private, non-blocking stream connection, made or being made, to a listener of exactly this copy,
/// by its index in `listeners`. It may be called again for each attempt; what it throws is final.
///
/// `disturbance` is a descriptor that becomes readable when there is something more important to see to.
///
/// The caller need not be the copy's parent. For `fd:N` it must not hold the pipe's write end.
func awaitReadiness(
    _ readiness: Readiness, channel: borrowing ReadinessChannel, of copy: borrowing ProcessHandle,
    listeners: [ListenerIdentity], until deadline: Deadline, unless disturbance: Int32 = -1,
    offering offered: OfferedListeners = OfferedListeners(), connect: (Int) throws(Failure) -> Descriptor, log: Log
) throws(Failure) {
    let start = copyName(copy, nil)
    let reader: ChannelReader? =
        switch channel.node {
        case .some(let far): ChannelReader(far, offered)
        case .none: nil
        }
    var watch = Watch(of: copy, until: deadline, unless: disturbance, reader: reader, log: log)
    let allowed = deadline.remaining
    do throws(Interruption) {
        switch readiness {
        case .accept:
            for (index, listener) in listeners.enumerated() where listener.transport != .udp {
                try awaitAcceptance(by: listener, &watch) { () throws(Failure) in try connect(index) }
            }
        case .http(let name, let path):
            guard let index = listeners.firstIndex(where: { $0.name == name && $0.transport != .udp }) else {
                throw .failed(.usage("wait for", start, "there is no stream socket '\(name)'"))
            }
            try awaitGoodAnswer(path, &watch) { () throws(Failure) in try connect(index) }
        case .notify, .descriptor:
            switch channel.reader {
            case .some(let reader):
                if case .descriptor(let number) = readiness {
                    try awaitNewline(on: reader, closedBy: start, number, &watch)
                } else {
                    try awaitNotification(from: copy.identity.pid, on: reader, &watch)
                }
            case .none:
                throw .failed(.usage("wait for", start, "the channel is not for this form of readiness"))
            }
        case .message:
            if let reader { try awaitMessage(reader, from: start, &watch) }
        case .command(let command):
            try awaitSuccess(of: command, copy.identity.pid, &watch)
        case .none:
            break
        }
        // Ready, and gone.
        if copy.hasExited { throw .ended }
        try orGiveUp("leave the Node channel of", start) { () throws(Errno) in try channel.leaveNode() }
    } catch {
        let object = copyName(copy, start)
        switch error {
        case .failed(let failure):
            throw failure
        case .ended:
            let end = end(of: copy)
            throw Failure(
                .negative, "wait for", object, end?.description ?? "it has ended",
                remedy: end == .exited(0) ? "it must not put itself into the background" : nil)
        case .disturbed:
            throw Failure(.negative, "wait for", object, "not ready yet: \(watch.seen)")
        case .late:
            throw Failure(.negative, "wait for", object, "not ready after \(rounded(allowed)): \(watch.seen)")
        }
    }
}

/// Why waiting has come to an end other than being ready.
enum Interruption: Error {
    /// The copy has ended.
    case ended
    /// The deadline has passed.
    case late
    /// Something else has happened that the caller wants to see to.
    case disturbed
    case failed(Failure)
}

/// What every form of waiting looks out for besides its own event: the copy's end and the deadline.
struct Watch {
    let log: Log
    /// What was seen last, for the message when the deadline passes.
    var seen = ByteString()
    private let pidfd: Int32
    private let disturbance: Int32
    /// Who sees to what comes through its Node channel meanwhile.
    private let reader: ChannelReader?
    private let deadline: Deadline

    init(
        of copy: borrowing ProcessHandle, until deadline: Deadline, unless disturbance: Int32 = -1,
        reader: ChannelReader? = nil, log: Log
    ) {
        self.reader = reader
        pidfd = copy.descriptor.number
        self.disturbance = disturbance
        self.deadline = deadline
        self.log = log
    }

    /// Notes what was seen.
    mutating func see(_ what: ByteString) {
        if what != seen { log.detail(what) }
        seen = what
    }

    /// poll(2): true once one of `events` has come (or it is in error or hung up), false after `pause`.
    func wait(for events: Int32 = 0, on descriptor: Int32 = -1, atMost pause: UInt64? = nil) throws(Interruption)
        -> Bool
    {
        // A negative descriptor is passed over.
        let end = pause.map { Deadline(after: Milliseconds($0)) }
        var entries = (
            pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0),
            pollfd(fd: descriptor, events: Int16(events), revents: 0),
            pollfd(fd: disturbance, events: Int16(POLLIN), revents: 0),
            pollfd(fd: -1, events: Int16(POLLIN), revents: 0)
        )
        while true {
            entries.3.fd = reader.map { $0.isClosed ? -1 : $0.number } ?? -1
            let timeout = end.map { min($0, deadline) } ?? deadline
            let count = withUnsafeMutableBytes(of: &entries) { raw in
                CLinux.poll(raw.baseAddress!.assumingMemoryBound(to: pollfd.self), 4, timeout.pollTimeout)
            }
            if count == -1 {
                let reason = Errno.current
                if reason != .interrupted { throw .failed(Failure("wait for", "events", reason)) }
                continue
            }
            if entries.0.revents != 0 { throw .ended }
            if entries.2.revents != 0 { throw .disturbed }
            if entries.3.revents != 0 { reader?.read() }
            // Before what has come: somebody who sends without end must not stop the clock.
            if deadline.hasPassed { throw .late }
            if entries.1.revents != 0 { return true }
            if let end, end.hasPassed { return false }
        }
    }
}

/// `pid 4711 (nginx)`; as it was when nothing can be learnt any more.
private func copyName(_ copy: borrowing ProcessHandle, _ former: ByteString?) -> ByteString {
    let pid = copy.identity.pid
    if let status = try? ProcessStatus(of: pid), status.identity == copy.identity {
        return "pid \(pid) (\(status.name))"
    }
    return former ?? "pid \(pid)"
}

/// `60 s`, which is what a deadline set a moment ago was meant to be.
private func rounded(_ length: Milliseconds) -> ByteString {
    length.count < 1900 ? "\(length.count) ms" : "\((length.count + 500) / 1000) s"
}

/// A step in which a failing call is final.
func orGiveUp<Result: ~Copyable>(
    _ verb: ByteString, _ object: ByteString, _ body: () throws(Errno) -> Result
) throws(Interruption) -> Result {
    do throws(Errno) {
        return try body()
    } catch {
        throw .failed(Failure(verb, object, error))
    }
}

/// The caller's connection; its failure is final.
func attempt(_ connect: () throws(Failure) -> Descriptor) throws(Interruption) -> Descriptor {
    do throws(Failure) {
        return try connect()
    } catch {
        throw .failed(error)
    }
}
