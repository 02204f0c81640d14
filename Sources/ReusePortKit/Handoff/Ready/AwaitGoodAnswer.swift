import CLinux

/// Ready when a request over HTTP is answered with one of the expected statuses.
@inline(never)
func awaitGoodAnswer(
    _ check: HTTPCheck, _ watch: inout Watch, _ connect: () throws(Failure) -> Descriptor
) throws(NotReady) {
    watch.expect(.noAnswer)
    var pause: UInt64 = 100
    while true {
        let answer = try ask(check, over: try orNotReady(connect), watch)
        watch.see(answer)
        if case .answered(let status) = answer, status >= check.lowestStatus, status <= check.highestStatus { return }
        _ = try watch.wait(atMost: pause)
        pause = min(pause * 2, 500)
    }
}

/// Makes one request, and reads the first line of the answer.
private func ask(
    _ check: HTTPCheck, over connection: borrowing Descriptor, _ watch: Watch
) throws(NotReady) -> ReadinessEvent {
    _ = try watch.wait(for: POLLOUT, on: connection.number)
    // If the attempt to connect has failed there is no remote address, and sending gives the reason.
    var host = check.host
    if host.isEmpty {
        host = "localhost"
        if let address = try? remoteAddress(of: connection), address.port != nil { host = address.description }
    }
    // The header of version 2 says that the connection is the proxy's own, which goes without addresses.
    let zero = ByteString([0])
    let start: ByteString =
        switch check.proxy {
        case 0: ""
        case 1: "PROXY TCP4 127.0.0.1 127.0.0.1 1 1\r\n"
        default: "\r\n\r\n\(zero)\r\nQUIT\n \(zero)\(zero)\(zero)"
        }
    let request: ByteString =
        "\(start)GET \(check.path) HTTP/1.1\r\nHost: \(host)\r\nUser-Agent: reuseport-exec\r\nAccept: */*\r\nConnection: close\r\n\r\n"
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
private func send(_ request: ByteString, over number: Int32, _ watch: Watch) throws(NotReady) -> Errno? {
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
