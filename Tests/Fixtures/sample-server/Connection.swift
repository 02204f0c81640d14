import CLinux
import ReusePortKit

/// An accepted connection, and the state of its request.
final class Connection {
    let socket: Int32
    /// The name of the listener that accepted it.
    let name: ByteString
    var input: [UInt8] = []
    var output: [UInt8] = []
    var sent = 0
    /// The number of answered requests.
    var served = 0
    /// The request that is being answered.
    var answering: Request?
    /// The time until which the answer is held back.
    var dueAt: Int64?
    /// Whether the connection closes after this answer.
    var isLast = false
    /// Whether the client has closed its end.
    var isHalfClosed = false
    var isClosed = false
    /// The events that epoll(7) waits for.
    var interest: UInt32 = EPOLLIN.rawValue

    init(socket: Int32, name: ByteString) {
        self.socket = socket
        self.name = name
    }

    /// Whether it is kept alive without a request.
    var isIdle: Bool { served > 0 && input.isEmpty && output.isEmpty && dueAt == nil }

    /// Reads all input that has arrived; false if the connection is broken.
    func receive() -> Bool {
        withUnsafeTemporaryAllocation(byteCount: 16384, alignment: 1) { buffer in
            while true {
                let size = recv(socket, buffer.baseAddress!, buffer.count, 0)
                if size > 0 {
                    input.append(contentsOf: buffer[0..<size])
                    if size < buffer.count { return true }
                } else if size == 0 {
                    isHalfClosed = true
                    return true
                } else {
                    let reason = clinux_errno()
                    if reason == EINTR { continue }
                    return reason == EAGAIN
                }
            }
        }
    }

    /// Sends as much output as possible; false if the connection is broken.
    func send() -> Bool {
        while sent < output.count {
            let size = output.withUnsafeBytes {
                CLinux.send(socket, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            if size >= 0 {
                sent += size
            } else {
                let reason = clinux_errno()
                if reason == EINTR { continue }
                return reason == EAGAIN
            }
        }
        output.removeAll(keepingCapacity: true)
        sent = 0
        return true
    }
}
