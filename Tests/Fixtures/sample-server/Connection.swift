import CLinux
import ReusePortKit

/// An accepted connection and what is under way on it.
final class Connection {
    let socket: Int32
    /// The listener it came from.
    let name: ByteString
    var input: [UInt8] = []
    var output: [UInt8] = []
    var sent = 0
    /// Requests answered.
    var served = 0
    /// The request that is being answered.
    var answering: Request?
    /// Its answer is held back until then.
    var dueAt: Int64?
    /// Close when the answer is out.
    var isLast = false
    /// The client sends nothing more.
    var isHalfClosed = false
    var isClosed = false
    /// The events asked of epoll(7).
    var interest: UInt32 = EPOLLIN.rawValue

    init(socket: Int32, name: ByteString) {
        self.socket = socket
        self.name = name
    }

    /// Kept alive, with nothing under way.
    var isIdle: Bool { served > 0 && input.isEmpty && output.isEmpty && dueAt == nil }

    /// Takes what has arrived; false if the connection is broken.
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

    /// Sends what is to be sent; false if the connection is broken.
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
