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
        let cookie = try socket.cookie
        let number = socket.number
        try borrowListener(identity(socket, transport: transport, cookie: cookie)) { (borrowed) throws(Errno) in
            guard borrowed.number != number, try socketCookie(of: borrowed) == cookie else { throw .exists }
            guard clinux_fcntl(borrowed.number, F_GETFD, 0) == Int32(FD_CLOEXEC) else { throw .invalid }
        }
    }

    @Test func whatIsNotThereIsNotBorrowed() throws {
        let socket = try member("http")
        let cookie = try socket.cookie
        let known = try identity(socket, transport: .tcp, cookie: cookie)
        let other = try identity(socket, transport: .tcp, cookie: cookie &+ 1_000_000)
        #expect(throws: Errno.noEntry) { try borrowListener(other) { _ in } }
        let path = ListenerIdentity(
            name: "http", transport: .unix, address: .unix("/nowhere"), isDualStack: false, cookie: cookie)
        #expect(throws: Errno.noEntry) { try borrowListener(path) { _ in } }
        try socket.close()
        #expect(throws: Errno.noEntry) { try borrowListener(known) { _ in } }
    }

    /// Where nothing can be borrowed, a new listener joins the group for a moment. A client that is sent to its place comes
    /// to another one in the end.
    @Test(arguments: [TestHost.loopback, .v6]) func aNewMemberTakesNoClient(host: TestHost) throws {
        try Tool.requireRoot()
        let socket = try member("http", host)
        let (stale, right) = (IndexProgram(places: [1], balance: .random), IndexProgram(places: [0], balance: .random))
        // As it is left when the first of two members has gone.
        try #require(stale).attach(to: socket.descriptor)
        let address = ReusePortKit.loopback(host.isIPv4 ? AF_INET : AF_INET6).with(port: try socket.port)
        let known = ListenerIdentity(
            name: "http", transport: .tcp, address: address, isDualStack: false, cookie: try socket.cookie)
        let client = try ReusePortKit.socket(
            family: address.family, type: Int32(SOCK_STREAM.rawValue), flags: Int32(SOCK_NONBLOCK.rawValue))
        let number = client.number
        try SteerThread.unprivileged {
            try withMember(ofGroupOf: known, first: nil, until: Deadline(after: patience)) { (held) throws(Errno) in
                guard try socketCookie(of: held) != known.cookie else { throw .exists }
                let waiting = reason { () throws(Errno) in
                    try address.withSockaddr { raw, count throws(Errno) in
                        try checked(CLinux.connect(number, raw, count))
                    }
                }
                guard waiting?.rawValue == EINPROGRESS else { throw waiting ?? .busy }
                try right?.attach(to: held)
            }
        }
        var entry = pollfd(fd: socket.number, events: Int16(POLLIN), revents: 0)
        try waitUntil("the client has come to the one that is left") { poll(&entry, 1, 0) == 1 }
        #expect(try option(client, SOL_SOCKET, SO_ERROR) == 0)
    }

    /// Exactly this one of a group ends, for all who hold it, although the kernel finds members by a hash.
    @Test func oneOfAGroupIsDestroyed() throws {
        try Tool.requireRoot()
        let first = try member("http")
        var others: [TestSocket] = []
        for _ in 0..<7 { others.append(try member("http", port: try first.port)) }
        let known = try identity(others[3], transport: .tcp, cookie: try others[3].cookie)
        try destroyListener(known, interface: 0)
        let left = try sockets(of: .tcp, family: AF_INET, on: try first.port).map { $0.cookie }
        var expected = [try first.cookie]
        for (index, one) in others.enumerated() where index != 3 { expected.append(try one.cookie) }
        #expect(left.sorted() == expected.sorted())
        #expect(throws: Errno.noEntry) { try destroyListener(known, interface: 0) }
        let other = try identity(others[2], transport: .tcp, cookie: try others[2].cookie)
        let denied = try asNobody { reason { () throws(Errno) in try destroyListener(other, interface: 0) } }
        #expect(denied == .notPermitted)
    }

    /// A descriptor's number is used again.
    @Test func anotherSocketAtTheNumberIsRefused() throws {
        let socket = try member("http")
        let holder = SocketHolder(
            inode: 0, process: try ProcessIdentity(of: getpid()), name: "", descriptor: socket.number)
        let cookie = try socket.cookie
        #expect(throws: Errno.noEntry) { try borrowSocket(of: holder, cookie: cookie &+ 1) { _ in "" } }
        #expect(try borrowSocket(of: holder, cookie: cookie) { _ in "used" } == "used")
    }

    @Test func whatTakesTooLongIsGivenUp() throws {
        let pipe = try PipeEnds()
        let writer = pipe.writer.number
        #expect(throws: Errno.timedOut) {
            try inExpendableProcess(until: Deadline(after: Milliseconds(200))) { () throws(Errno) in
                var pid = getpid()
                _ = write(writer, &pid, MemoryLayout<Int32>.size)
                while true { pause() }
            }
        }
        var pid: Int32 = 0
        #expect(read(pipe.reader.number, &pid, MemoryLayout<Int32>.size) == MemoryLayout<Int32>.size)
        #expect(throws: Errno.noProcess) { try checked(kill(pid, 0)) }
        #expect(throws: Errno.loop) {
            try inExpendableProcess(until: Deadline(after: patience)) { () throws(Errno) in throw .loop }
        }
    }
}
