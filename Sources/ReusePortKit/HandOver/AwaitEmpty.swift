import CLinux

/// Waits until the accept queues of these listeners are empty, or it takes too long.
func awaitEmpty(_ listeners: [ListenerIdentity], until deadline: Deadline) throws(Failure) {
    var pause: Int32 = 1
    while try queued(listeners) > 0 && !deadline.hasPassed {
        _ = poll(nil, 0, pause)
        pause = min(pause * 2, 20)
    }
}

/// How many connections wait to be accepted.
private func queued(_ listeners: [ListenerIdentity]) throws(Failure) -> Int {
    var result = 0
    try step("read", "the accept queues") { () throws(Errno) in
        var ports: [UInt16] = []
        for listener in listeners where listener.transport == .tcp {
            let port = listener.address.port ?? 0
            if ports.contains(port) { continue }
            ports.append(port)
            for record in try internetSockets(.tcp, states: .listening, localPort: port)
            where listeners.contains(where: { $0.cookie == record.cookie }) {
                result += Int(record.acceptQueue)
            }
        }
        if listeners.contains(where: { $0.transport == .unix }) {
            for record in try listeningUnixSockets() where listeners.contains(where: { $0.cookie == record.cookie }) {
                result += Int(record.acceptQueue)
            }
        }
    }
    return result
}
