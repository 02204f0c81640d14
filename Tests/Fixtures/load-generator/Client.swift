import CLinux
import ReusePortKit

/// One client of the closed loop: a connection, and its current request.
final class Client {
    enum Phase {
        /// Sends no more requests.
        case done
        /// Waits until `wakeAt` before it connects.
        case pausing
        case connecting
        case sending
        case receiving
    }

    let index: Int
    var phase = Phase.done
    var socket: Int32 = -1
    /// Counts the client's sockets, to recognize late events of an earlier one.
    var turn: UInt32 = 0
    var wakeAt: Int64 = 0
    var startedAt: Int64 = 0
    var deadline: Int64 = 0
    /// The number of requests answered on this connection.
    var answered = 0
    var sent = 0
    var answer = Answer()

    init(index: Int) { self.index = index }

    var token: UInt64 { UInt64(turn) << 32 | UInt64(index) }
}
