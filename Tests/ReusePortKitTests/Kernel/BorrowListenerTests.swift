import CLinux
import Testing

@testable import ReusePortKit

@Suite struct BorrowListenerTests {
    private func copy(_ socket: TestSocket, transport: Transport, cookie: UInt64) throws -> CopyRecord {
        let identity = ListenerIdentity(
            name: "http", transport: transport, address: .ipv4(0x7F00_0001, port: try socket.port), isDualStack: false,
            cookie: cookie)
        return CopyRecord(
            generation: 1, copy: 0, process: try ProcessIdentity(of: getpid()), helper: nil, state: .live, since: 0,
            listeners: [CopyRecord.Listener(identity: identity, publicPath: nil)], supervisor: nil, stopSignal: SIGTERM,
            stopTimeout: .seconds(1), nice: nil)
    }

    @Test(arguments: [(SOCK_STREAM, Transport.tcp), (SOCK_DGRAM, .udp)])
    func theSameSocketIsBorrowed(kind: __socket_type, transport: Transport) throws {
        // Another one at the same address is not taken for it.
        let other = try member("other", kind: kind)
        let socket = try member("http", port: try other.port, kind: kind)
        let copy = try copy(socket, transport: transport, cookie: try socket.cookie)
        let borrowed = try borrowListener(of: copy, named: "http")
        #expect(borrowed.number != socket.number)
        #expect(try socketCookie(of: borrowed) == socket.cookie)
        #expect(clinux_fcntl(borrowed.number, F_GETFD, 0) == Int(FD_CLOEXEC))
    }

    @Test func whatIsNotThereIsNotBorrowed() throws {
        let socket = try member("http")
        let cookie = try socket.cookie
        let copy = try copy(socket, transport: .tcp, cookie: cookie)
        #expect(throws: Errno.noEntry) { _ = try borrowListener(of: copy, named: "admin") }
        let stranger = try self.copy(socket, transport: .tcp, cookie: cookie &+ 1_000_000)
        #expect(throws: Errno.noEntry) { _ = try borrowListener(of: stranger, named: "http") }
        try socket.close()
        #expect(throws: Errno.noEntry) { _ = try borrowListener(of: copy, named: "http") }
    }

    /// A descriptor's number is used again.
    @Test func anotherSocketAtTheNumberIsRefused() throws {
        let socket = try member("http")
        let holder = SocketHolder(
            inode: 0, process: try ProcessIdentity(of: getpid()), name: "", descriptor: socket.number)
        #expect(throws: Errno.noEntry) { _ = try borrowSocket(of: holder, cookie: try socket.cookie &+ 1) }
    }
}
