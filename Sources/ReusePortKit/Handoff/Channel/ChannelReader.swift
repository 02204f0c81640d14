import CLinux

/// The listeners that a cluster's worker may ask for.
struct OfferedListeners {
    /// As clients see them.
    var identities: [ListenerIdentity] = []
    /// Where they were bound, which is another path than clients have.
    var names: [ByteString] = []
    /// Ours.
    var numbers: [Int32] = []
    /// What the target thinks it has them at.
    var targets: [Int32] = []
}

/// Reads what a copy says through its Node channel while it starts, and gives it the listeners that it asks for.
final class ChannelReader {
    /// The far end, which somebody else holds.
    let number: Int32
    private(set) var isReady = false
    /// Whether the program has closed its end.
    private(set) var isClosed = false
    /// For the message when it does not become ready.
    private(set) var seen: ByteString = "nothing came through its channel"
    private let offered: OfferedListeners
    private var lines = MessageLines()
    private var buffer = [UInt8](repeating: 0, count: MessageLines.longest)

    init(_ far: borrowing Descriptor, _ offered: OfferedListeners) {
        number = far.number
        self.offered = offered
    }

    /// Takes what has come: not all of it, for somebody may send without end.
    func read() {
        for _ in 0..<64 {
            // With MSG_TRUNC, the length of the message and not of what has room.
            let count = recv(number, &buffer, buffer.count, Int32(MSG_DONTWAIT | MSG_TRUNC))
            if count == -1 { return }
            if count == 0 {
                // An empty message, or the end.
                var entry = pollfd(fd: number, events: 0, revents: 0)
                isClosed = poll(&entry, 1, 0) == 1
                if isClosed { return }
            }
            if count > buffer.count {
                lines.forget()
                continue
            }
            for line in lines.take(buffer[..<count]) { understand(line.trimmed) }
        }
    }

    private func understand(_ line: ByteString) {
        if line == "\"online\"" || line == "\"ready\"" {
            isReady = true
            return
        }
        func value(_ key: ByteString) -> ByteString { member(key, ofJSON: line) }
        if value("event") == "\"status-changed\"" && value("payload") == "3" { isReady = true }
        if value("cmd") == "\"NODE_CLUSTER\"" && value("act") == "\"queryServer\"" { answer(value) }
        if !value("cmd").hasPrefix("\"NODE_") { seen = "no message said so" }
    }

    /// What a cluster's primary answers to its worker that is about to listen: a listener, or why there is none.
    private func answer(_ value: (ByteString) -> ByteString) {
        // One that listens there already counts on; nobody would accept from a second copy of the same socket.
        let isTaken = (value("index").decimal ?? 0) > 0
        let index = isTaken ? nil : find(value)
        // The worker has no listener in common with others, so any key will do. Its session keys (`data`) stay its own.
        let number = value("seq")
        var reply: ByteString = "{\"cmd\":\"NODE_CLUSTER\",\"key\":\"\(number)\",\"ack\":\(number),\"data\":"
        reply.append(value("data").isEmpty ? "null" : value("data"))
        if let index {
            let type: ByteString = offered.identities[index].transport == .udp ? "dgram" : "net"
            reply = "{\"cmd\":\"NODE_HANDLE\",\"type\":\"\(type).Native\",\"msg\":\(reply),\"errno\":0}}"
        } else {
            reply.append(",\"errno\":-\(isTaken ? EADDRINUSE : EADDRNOTAVAIL)}")
            seen = "it wants to listen on \(value("address")) \(value("port")), where it has no socket left"
        }
        // What cannot be sent now is never asked for again: then it does not become ready, and that is told.
        _ = reason { () throws(Errno) in
            try send(reply, through: self.number, with: index.map { offered.numbers[$0] } ?? -1)
        }
    }

    /// The one of the same port, and if there are several, of the same address.
    private func find(_ value: (ByteString) -> ByteString) -> Int? {
        let isUDP = value("addressType").hasPrefix("\"udp")
        let port = value("port").decimal
        let target = value("fd").decimal
        var found: Int?
        for index in offered.identities.indices {
            let address = offered.identities[index].address
            let isSame =
                json(address.host) == value("address") || json(offered.names[index]) == value("address")
            if target.map({ UInt64(offered.targets[index]) == $0 })
                ?? (address.port.map {
                    UInt64($0) == port && (offered.identities[index].transport == .udp) == isUDP
                } ?? isSame), found == nil || isSame
            {
                found = index
            }
        }
        return found
    }
}

/// Ready when the program says so through its Node channel.
func awaitMessage(_ reader: ChannelReader, from copy: ByteString, _ watch: inout Watch) throws(Interruption) {
    while !reader.isReady {
        watch.see(reader.seen)
        if reader.isClosed {
            throw .failed(Failure(.negative, "wait for", copy, "it closed its Node channel before it was ready"))
        }
        _ = try watch.wait(for: POLLIN, on: reader.number)
    }
}

/// The listeners of a copy, for it to ask for.
func offer(_ listeners: [CopyRecord.Listener], _ sockets: borrowing OwnedArray<Placement>) -> OfferedListeners {
    var result = OfferedListeners(identities: visible(listeners))
    for index in listeners.indices {
        result.names.append(listeners[index].identity.address.host)
        result.numbers.append(sockets[index].source.number)
        result.targets.append(sockets[index].target)
    }
    return result
}
