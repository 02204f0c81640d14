import CLinux

/// Ready when a request over HTTP is answered with a status from 200 to 399.
func awaitGoodAnswer(
    _ path: ByteString, _ watch: inout Watch, _ connect: () throws(Failure) -> Descriptor
) throws(Interruption) {
    watch.seen = "no answer"
    var pause: UInt64 = 100
    while true {
        let answer = try ask(path, over: try attempt(connect), watch)
        watch.see(answer.words)
        if answer.isGood { return }
        _ = try watch.wait(atMost: pause)
        pause = min(pause * 2, 500)
    }
}

/// What came of one request. No more than the first line of the answer is read.
private func ask(
    _ path: ByteString, over connection: borrowing Descriptor, _ watch: Watch
) throws(Interruption) -> (isGood: Bool, words: ByteString) {
    let number = connection.number
    _ = try watch.wait(for: POLLOUT, on: number)
    // Of an attempt to connect that has failed, getpeername(2) says no more than that; the reason comes when sending.
    var host: ByteString = "localhost"
    if let address = try? remoteAddress(of: connection), address.port != nil { host = address.description }
    let request: ByteString =
        "GET \(path) HTTP/1.1\r\nHost: \(host)\r\nUser-Agent: reuseport-exec\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    var sent = 0
    while sent < request.count {
        let rest = request.dropFirst(sent)
        let count = rest.bytes.withUnsafeBytes { send(number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        if count >= 0 {
            sent += count
        } else if Errno.current != .again {
            return (false, "no answer: \(Errno.current.description)")
        } else {
            _ = try watch.wait(for: POLLOUT, on: number)
        }
    }
    var answer = ByteString()
    while !answer.contains(UInt8(ascii: "\n")) && answer.count < 4096 {
        _ = try watch.wait(for: POLLIN, on: number)
        do throws(Errno) {
            let piece = try receive(connection, atMost: 4096)
            if piece.isEmpty { return (false, "no answer: the connection was closed") }
            answer.append(piece)
        } catch .again {
        } catch {
            return (false, "no answer: \(error.description)")
        }
    }
    // `HTTP/1.1 200 OK`
    guard answer.hasPrefix("HTTP/1."), answer.count >= 12, let status = answer[9..<12].decimal else {
        return (false, "answered something else than HTTP")
    }
    return (status >= 200 && status < 400, "answered \(status)")
}
