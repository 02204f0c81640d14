import CLinux

/// Makes room for as many waiting connections as the system allows, whatever the program has asked for since (Node asks
/// for 511), and answers with how many that are. listen(2) may be called again at any time.
func widenBacklog(_ listener: borrowing Descriptor, _ record: CopyRecord.Listener) throws(Failure) -> Int {
    if record.identity.transport == .udp { return 0 }
    try step("widen the backlog of", "socket \(record.identity.name)") { () throws(Errno) in
        try listen(listener, backlog: Int32.max)
    }
    let cookie = record.identity.cookie
    if record.identity.transport == .unix {
        return (try? listeningUnixSockets())?.first { $0.cookie == cookie }.map { Int($0.acceptLimit) } ?? 0
    }
    let all = try? internetSockets(.tcp, states: .listening, localPort: record.identity.address.port)
    return all?.first { $0.cookie == cookie }.map { Int($0.acceptLimit) } ?? 0
}

/// The same for all listeners of these copies that can be had, and says how many connections can wait.
func reportRoom(_ copies: [CopyRecord], _ log: Log) throws(Failure) {
    var room = 0
    for copy in copies {
        for listener in copy.listeners {
            guard let held = try? borrowListener(of: copy, named: listener.identity.name) else { continue }
            room += try widenBacklog(held, listener)
        }
    }
    report(room: room, log)
}

func report(room: Int, _ log: Log) {
    if room > 0 { log.step("up to \(room) connections can wait") }
}
