import CLinux

/// Reads messages of a copy from its Node channel while it starts, and gives a cluster's worker the listeners that it asks
/// for.
final class ChannelReader {
    /// The far end, which the caller keeps open.
    let number: Int32
    private(set) var isReady = false
    /// Whether the program has closed its end.
    private(set) var isClosed = false
    /// Why the copy is not ready yet.
    private(set) var seen = ReadinessEvent.silentChannel
    private let offered: [OfferedListener]
    private var lines = MessageLines()

    init(_ far: borrowing Descriptor, offering offered: [OfferedListener]) {
        number = far.number
        self.offered = offered
    }

    /// Reads what has come, but no more than 64 messages at once, because a program may send without end.
    func read() {
        for _ in 0..<64 {
            guard let message = try? receiveMessage(number, atMost: MessageLines.longest) else { return }
            if message.text.isEmpty {
                // Either an empty message or the end; only the end makes poll(2) report a hangup.
                var entry = pollfd(fd: number, events: 0, revents: 0)
                isClosed = poll(&entry, 1, 0) == 1
                if isClosed { return }
            }
            if message.isCut {
                lines.forget()
                continue
            }
            for line in lines.take(message.text.bytes[...]) { understand(line.trimmed) }
        }
    }

    private func understand(_ line: ByteString) {
        if line == "\"online\"" || line == "\"ready\"" {
            isReady = true
            return
        }
        // Drover's worker says that it is ready by a number, and that of nodesockd's version 2 in an envelope.
        if member("event", ofJSON: line) == "\"status-changed\"" && member("payload", ofJSON: line) == "3"
            || member("type", ofJSON: line) == "\"online\""
        {
            isReady = true
        }
        let command = member("cmd", ofJSON: line)
        if command == "\"NODE_CLUSTER\"", member("act", ofJSON: line) == "\"queryServer\"" {
            answer(ListenerQuery(message: line))
        }
        if !command.hasPrefix("\"NODE_") { seen = .otherMessages }
    }

    /// Answers as a cluster's primary does when its worker is about to listen: with a listener, or with an error.
    private func answer(_ query: ListenerQuery) {
        // A worker that already listens there asks again with an index. It gets no second descriptor of the same socket,
        // from which nothing would accept.
        let index = query.isRepeated ? nil : query.find(in: offered)
        // The worker shares its listener with no other, so any key will do. `data` holds its TLS session keys, which
        // stay its own.
        let number = query.number
        var reply: ByteString = "{\"cmd\":\"NODE_CLUSTER\",\"key\":\"\(number)\",\"ack\":\(number),\"data\":"
        reply.append(query.data.isEmpty ? "null" : query.data)
        if let index {
            let type: ByteString = offered[index].identity.transport == .udp ? "dgram" : "net"
            reply = "{\"cmd\":\"NODE_HANDLE\",\"type\":\"\(type).Native\",\"msg\":\(reply),\"errno\":0}}"
        } else {
            reply.append(",\"errno\":-\(query.isRepeated ? EADDRINUSE : EADDRNOTAVAIL)}")
            seen = .wantsListener(address: query.address, port: query.port)
        }
        // If the answer cannot be sent, the worker does not ask again and never becomes ready, which is reported then.
        _ = reason { () throws(Errno) in
            try send(reply, through: self.number, with: index.map { offered[$0].number })
        }
    }
}

/// A cluster's worker asks for a listener; the values are JSON.
private struct ListenerQuery {
    let number: ByteString
    let address: ByteString
    let port: ByteString
    let data: ByteString
    private let descriptor: UInt64?
    private let isUDP: Bool
    /// Whether the worker has asked for this listener before.
    let isRepeated: Bool

    init(message: ByteString) {
        number = member("seq", ofJSON: message)
        address = member("address", ofJSON: message)
        port = member("port", ofJSON: message)
        data = member("data", ofJSON: message)
        descriptor = member("fd", ofJSON: message).decimal
        isUDP = member("addressType", ofJSON: message).hasPrefix("\"udp")
        isRepeated = (member("index", ofJSON: message).decimal ?? 0) > 0
    }

    /// Finds the listener with this port; of several, the one with this address.
    func find(in offered: [OfferedListener]) -> Int? {
        let candidates = offered.indices.filter { isMeant(offered[$0]) }
        return candidates.last { isAddress(of: offered[$0]) } ?? candidates.first
    }

    private func isMeant(_ listener: OfferedListener) -> Bool {
        if let descriptor { return UInt64(listener.target) == descriptor }
        guard let listenersPort = listener.identity.address.port else { return isAddress(of: listener) }
        return UInt64(listenersPort) == port.decimal && (listener.identity.transport == .udp) == isUDP
    }

    private func isAddress(of listener: OfferedListener) -> Bool {
        address == json(listener.identity.address.host) || address == json(listener.boundHost)
    }
}

/// A listener that a cluster's worker may ask for.
struct OfferedListener {
    /// The listener as clients see it.
    let identity: ListenerIdentity
    /// The address to which it is bound. For a Unix socket this is another path than the one that clients use.
    let boundHost: ByteString
    /// Our descriptor.
    let number: Int32
    /// The number of the target's descriptor.
    let target: Int32
}

/// Lists the listeners that a copy may ask for.
func offer(_ listeners: [Listener], _ sockets: borrowing OwnedArray<Placement>) -> [OfferedListener] {
    var result: [OfferedListener] = []
    for (index, identity) in visible(listeners).enumerated() {
        result.append(
            OfferedListener(
                identity: identity, boundHost: listeners[index].identity.address.host,
                number: sockets[index].source.number, target: sockets[index].target))
    }
    return result
}

/// Ready when the program says so through its Node channel.
func awaitMessage(
    _ reader: ChannelReader, _ watch: inout Watch
) throws(NotReady) {
    while !reader.isReady {
        watch.see(reader.seen)
        if reader.isClosed {
            throw .failed(
                Failure(
                    .negative, "wait for", "", "it closed its Node channel before it was ready"))
        }
        _ = try watch.wait(for: POLLIN, on: reader.number)
    }
}
