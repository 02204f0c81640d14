import CLinux

/// Ready when the copy, or a process that it has started, acknowledges its start as einhorn's workers do: it connects,
/// and writes a line with the command `worker:ack`, as JSON or as YAML.
///
/// Whoever can connect has the descriptor that only the copy got, so no sender is asked for its credentials.
func awaitAcknowledgement(on listener: borrowing Descriptor, _ watch: inout Watch) throws(NotReady) {
    watch.expect(.noAcknowledgement)
    let number = listener.number
    while true {
        _ = try watch.wait(for: POLLIN, on: number)
        let accepted = accept4(number, nil, nil, Int32(SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue))
        if accepted == -1 { continue }
        if try isAcknowledged(Descriptor(owning: accepted), &watch) { return }
    }
}

/// Reads one line. One that does not come in a second is not waited for, because the next client may have it.
private func isAcknowledged(
    _ connection: consuming Descriptor, _ watch: inout Watch
) throws(NotReady) -> Bool {
    var line = ByteString()
    while line.count < 4096, try watch.wait(for: POLLIN, on: connection.number, atMost: 1000) {
        guard let piece = try? receive(connection, atMost: 4096), !piece.isEmpty else { break }
        line.append(piece)
        if line.contains(UInt8(ascii: "\n")) { break }
    }
    return line.replacing("worker:ack", with: "") != line
}
