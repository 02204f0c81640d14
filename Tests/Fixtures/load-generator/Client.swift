import CLinux
import ReusePortKit

/// One place in the closed loop: a connection, and the request that is under way on it.
final class Client {
    enum Phase {
        /// Out of the loop.
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
    /// Told apart from events of an earlier socket by this number.
    var turn: UInt32 = 0
    var wakeAt: Int64 = 0
    var startedAt: Int64 = 0
    var deadline: Int64 = 0
    /// Requests answered on this connection.
    var answered = 0
    var sent = 0
    var answer = Answer()

    init(index: Int) { self.index = index }

    var token: UInt64 { UInt64(turn) << 32 | UInt64(index) }
}
