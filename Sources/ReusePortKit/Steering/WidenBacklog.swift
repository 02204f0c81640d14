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
