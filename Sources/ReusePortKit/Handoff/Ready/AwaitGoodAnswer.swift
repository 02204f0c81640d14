import CLinux

/// Ready when a request over HTTP is answered with a status from 200 to 399.
func awaitGoodAnswer(
    _ path: ByteString, _ watch: inout Watch, _ connect: () throws(Failure) -> Descriptor
) throws(NotReady.Reason) {
    watch.expect(.noAnswer)
    var pause: UInt64 = 100
    while true {
        let answer = try ask(path, over: try orNotReady(connect), watch)
        watch.see(answer)
        if case .answered(200..<400) = answer { return }
        _ = try watch.wait(atMost: pause)
        pause = min(pause * 2, 500)
    }
}

/// Makes one request, and reads the first line of the answer.
private func ask(
    _ path: ByteString, over connection: borrowing Descriptor, _ watch: Watch
) throws(NotReady.Reason) -> ReadinessEvent {
    _ = try watch.wait(for: POLLOUT, on: connection.number)
    // If the attempt to connect has failed there is no remote address, and sending gives the reason.
    var host: ByteString = "localhost"
    if let address = try? remoteAddress(of: connection), address.port != nil { host = address.description }
    let request: ByteString =
        "GET \(path) HTTP/1.1\r\nHost: \(host)\r\nUser-Agent: reuseport-exec\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    if let errno = try send(request, over: connection.number, watch) { return .answerFailed(errno) }
    var answer = ByteString()
    while !answer.contains(UInt8(ascii: "\n")) && answer.count < 4096 {
        _ = try watch.wait(for: POLLIN, on: connection.number)
        do throws(Errno) {
            let piece = try receive(connection, atMost: 4096)
            if piece.isEmpty { return .connectionClosed }
            answer.append(piece)
        } catch .again {
        } catch {
            return .answerFailed(error)
        }
    }
    return status(of: answer).map { .answered(status: $0) } ?? .notHTTP
}

/// Sends all of it; the reason if that fails.
private func send(_ request: ByteString, over number: Int32, _ watch: Watch) throws(NotReady.Reason) -> Errno? {
    var sent = 0
    while sent < request.count {
        let rest = request.dropFirst(sent)
        let count = rest.bytes.withUnsafeBytes { send(number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        if count >= 0 {
            sent += count
        } else if Errno.current != .again {
            return .current
        } else {
            _ = try watch.wait(for: POLLOUT, on: number)
        }
    }
    return nil
}

/// The number in `HTTP/1.1 200 OK`.
private func status(of answer: ByteString) -> UInt64? {
    answer.hasPrefix("HTTP/1.") && answer.count >= 12 ? answer[9..<12].decimal : nil
}
