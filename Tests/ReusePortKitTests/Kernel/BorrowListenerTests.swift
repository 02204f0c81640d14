import CLinux
import Testing

@testable import ReusePortKit

@Suite struct BorrowListenerTests {
    private func identity(_ socket: TestSocket, transport: Transport, cookie: UInt64) throws -> ListenerIdentity {
        ListenerIdentity(
            name: "http", transport: transport, address: .ipv4(0x7F00_0001, port: try socket.port), isDualStack: false,
            cookie: cookie)
    }

    @Test(arguments: [(SOCK_STREAM, Transport.tcp), (SOCK_DGRAM, .udp)])
    func theSameSocketIsBorrowed(kind: __socket_type, transport: Transport) throws {
        // Another one at the same address is not taken for it.
        let other = try member("other", kind: kind)
        let socket = try member("http", port: try other.port, kind: kind)
        let borrowed = try borrowListener(identity(socket, transport: transport, cookie: try socket.cookie))
        #expect(borrowed.number != socket.number)
        #expect(try socketCookie(of: borrowed) == socket.cookie)
        #expect(clinux_fcntl(borrowed.number, F_GETFD, 0) == Int(FD_CLOEXEC))
    }

    @Test func whatIsNotThereIsNotBorrowed() throws {
        let socket = try member("http")
        let cookie = try socket.cookie
        let known = try identity(socket, transport: .tcp, cookie: cookie)
        let other = try identity(socket, transport: .tcp, cookie: cookie &+ 1_000_000)
        #expect(throws: Errno.noEntry) { _ = try borrowListener(other) }
        let path = ListenerIdentity(
            name: "http", transport: .unix, address: .unix("/nowhere"), isDualStack: false, cookie: cookie)
        #expect(throws: Errno.noEntry) { _ = try borrowListener(path) }
        try socket.close()
        #expect(throws: Errno.noEntry) { _ = try borrowListener(known) }
    }

    /// A descriptor's number is used again.
    @Test func anotherSocketAtTheNumberIsRefused() throws {
        let socket = try member("http")
        let holder = SocketHolder(
            inode: 0, process: try ProcessIdentity(of: getpid()), name: "", descriptor: socket.number)
        #expect(throws: Errno.noEntry) { _ = try borrowSocket(of: holder, cookie: try socket.cookie &+ 1) }
    }
}
