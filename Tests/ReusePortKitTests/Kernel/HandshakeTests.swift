import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// How long handshakes are waited for before a listener closes. The listener defers what it accepts until the request is
/// there, which leaves the handshake unfinished.
@Suite struct HandshakeTests {
    private func deferring() throws -> InspectedSocket {
        let socket = try InspectedSocket(backlog: 9)
        var seconds: Int32 = 30
        setsockopt(socket.number, Int32(IPPROTO_TCP), TCP_DEFER_ACCEPT, &seconds, 4)
        return socket
    }

    private func copy(with listener: borrowing InspectedSocket) -> CopyRecord {
        let identity = ListenerIdentity(
            name: "http", transport: .tcp, address: listener.address, isDualStack: false, cookie: listener.cookie)
        return CopyRecord(
            generation: 1, copy: 0, process: ProcessIdentity(pid: 4711, startTime: 1), state: .stopping, since: 1,
            listeners: [Listener(identity: identity)], stopSignal: SIGTERM, stopTimeout: .seconds(1))
    }

    private func pending(_ copy: CopyRecord) -> Int {
        connections(to: copy.listeners.map { $0.identity }, SocketStates(.synReceived)).count
    }

    @Test func olderThanTheSettleTime() throws {
        let socket = try deferring()
        let client = try InspectedSocket(connectedTo: socket.address)
        let copy = copy(with: socket)
        #expect(eventually { pending(copy) == 1 })
        let hasSent = DispatchSemaphore(value: 0)
        let number = client.number
        Thread {
            // The client is far away.
            usleep(300_000)
            hasSent.signal()
            _ = write(number, "x", 1)
        }.start()
        awaitHandshakes(of: [copy], settle: Milliseconds(1), moves: false)
        #expect(hasSent.wait(timeout: .now()) == .success)
        #expect(pending(copy) == 0)
        _ = (socket.number, client.number)
    }

    /// A handshake that never ends is not waited for, and neither is one that the kernel moves to another listener.
    @Test(arguments: [false, true]) func neverEnding(moves: Bool) throws {
        let socket = try deferring()
        let client = try InspectedSocket(connectedTo: socket.address)
        let copy = copy(with: socket)
        #expect(eventually { pending(copy) == 1 })
        awaitHandshakes(of: [copy], settle: Milliseconds(1), moves: moves)
        #expect(pending(copy) == 1)
        _ = (socket.number, client.number)
    }
}
