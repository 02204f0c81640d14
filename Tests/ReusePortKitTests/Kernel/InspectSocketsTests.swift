import CLinux
import Testing

@testable import ReusePortKit

@Suite struct InspectSocketsTests {
    @Test(arguments: [ipv4Loopback, ipv6Loopback])
    func listener(address: SocketAddress) throws {
        let socket = try InspectedSocket(.tcp, address, backlog: 9)
        let found = try internetSockets(.tcp, states: .listening, localPort: socket.port)
            .filter { $0.address == socket.address }
        let record = try #require(found.first)
        #expect(found.count == 1)
        #expect(record.family == address.family)
        #expect(record.state == .listening)
        #expect(record.uid == geteuid())
        #expect(record.inode == socket.inode && record.inode != 0)
        #expect(record.cookie == socket.cookie && record.cookie != 0)
        #expect(record.acceptQueue == 0)
        #expect(record.acceptLimit == 9)
        #expect(record.interface == 0)
        #expect(record.remote.port == 0)
        #expect(try internetSockets(.tcp, states: .listening).contains(record), "without a port")
        #expect(try internetSockets(.udp, states: [.bound, .established]).allSatisfy { $0.inode != record.inode })
    }

    @Test func acceptQueueIsCounted() throws {
        let socket = try InspectedSocket(backlog: 9)
        let first = try InspectedSocket(connectedTo: socket.address)
        let second = try InspectedSocket(connectedTo: socket.address)
        let (port, inode) = (socket.port, socket.inode)
        func queue() throws -> UInt32? {
            try internetSockets(.tcp, states: .listening, localPort: port).first { $0.inode == inode }?.acceptQueue
        }
        #expect(try eventually { try queue() == 2 })
        let accepted = try socket.accepted()
        #expect(try queue() == 1)
        _ = (first.number, second.number, accepted.number)
    }

    @Test func dualStackAndIPv6Only() throws {
        let dual = try InspectedSocket(.tcp, ipv6Wildcard, backlog: 1)
        let only = try InspectedSocket(.tcp, ipv6Wildcard, isIPv6Only: true, backlog: 1)
        let ipv4 = try InspectedSocket(.tcp, ipv4Wildcard, backlog: 1)
        let (dualInode, onlyInode, ipv4Inode) = (dual.inode, only.inode, ipv4.inode)
        let all = try internetSockets(.tcp, states: .listening)
        func isIPv6Only(_ inode: UInt64) throws -> Bool? { try #require(all.first { $0.inode == inode }).isIPv6Only }
        #expect(try isIPv6Only(dualInode) == false)
        #expect(try isIPv6Only(onlyInode) == true)
        #expect(try isIPv6Only(ipv4Inode) == nil)
        let onlyIPv4 = try internetSockets(.tcp, family: AF_INET, states: .listening)
        #expect(onlyIPv4.contains { $0.inode == ipv4Inode })
        #expect(onlyIPv4.allSatisfy { $0.family == AF_INET })
    }

    /// The kernel itself leaves out other ports, so that a busy host is not read through.
    @Test func thePortIsComparedByTheKernel() throws {
        let one = try InspectedSocket(.tcp, ipv4Loopback, shares: true, backlog: 1)
        let other = try InspectedSocket(.tcp, ipv4Loopback, shares: true, backlog: 1)
        for kind in [SocketState.listening, .established] {
            var request = inet_diag_req_v2()
            request.sdiag_family = UInt8(AF_INET)
            request.sdiag_protocol = UInt8(IPPROTO_TCP)
            request.idiag_states = SocketStates(kind).rawValue
            request.id.idiag_sport = one.port.bigEndian
            let client = try InspectedSocket(connectedTo: one.address)
            let another = try InspectedSocket(connectedTo: other.address)
            var ports: [UInt16] = []
            try DiagnosticSocket().dump(request) { message in
                if let record = SocketRecord(message: message) { ports.append(record.address.port ?? 0) }
            }
            #expect(!ports.isEmpty)
            #expect(ports.allSatisfy { $0 == one.port })
            _ = (client.number, another.number)
        }
    }

    @Test(.enabled(if: kernelIsAtLeast(6, 8), "the kernel tells of bound TCP sockets since 6.8"))
    func boundButNotListening() throws {
        let socket = try InspectedSocket(.tcp, ipv4Loopback, shares: true)
        let inode = socket.inode
        let record = try #require(
            try internetSockets(.tcp, states: .bound, localPort: socket.port).first { $0.inode == inode })
        #expect(record.state == .bound)
        #expect(record.address == socket.address)
        #expect(try internetSockets(.tcp, states: .listening, localPort: socket.port).isEmpty)
        try socket.listenNow()
        #expect(try internetSockets(.tcp, states: .bound, localPort: socket.port).isEmpty)
        #expect(try internetSockets(.tcp, states: [.bound, .listening], localPort: socket.port).count == 1)
    }

    @Test func connectionsAndWhoHasThem() throws {
        let listener = try InspectedSocket(backlog: 9)
        let client = try InspectedSocket(connectedTo: listener.address)
        let port = listener.port
        #expect(try eventually { try establishedConnections(toLocalPort: port).count == 1 })
        let waiting = try #require(try establishedConnections(toLocalPort: port).first)
        #expect(waiting.inode == 0, "not accepted")
        #expect(waiting.remote == client.address)
        #expect(waiting.isIPv6Only == nil)
        let ours = try ProcessIdentity(of: getpid())
        #expect(try count([waiting], heldBy: ours) == 0)

        let accepted = try listener.accepted()
        let connections = try establishedConnections(toLocalPort: port)
        #expect(connections.map { $0.inode } == [accepted.inode])
        #expect(try count(connections, heldBy: ours) == 1)
        let stranger = try Running.cat()
        #expect(try count(connections, heldBy: try ProcessIdentity(of: stranger.pid)) == 0)
    }

    private func unreadConnections(_ listener: SocketAddress) throws -> [SocketRecord] {
        try internetSockets(.tcp, family: listener.family, states: .receiving, localPort: listener.port) { $0.isUnread }
    }

    /// From the handshake until all that has come is read.
    @Test(arguments: [ipv4Loopback, ipv6Loopback, .ipv6(high: 0, low: 0, port: 0, scope: 0)])
    func whatIsNotReadYet(_ address: SocketAddress) throws {
        let listener = try InspectedSocket(.tcp, address, backlog: 9)
        func unread() throws -> [UInt64] { try unreadConnections(listener.address).map { $0.cookie } }
        #expect(try unread().isEmpty)
        let isWildcard = address != ipv4Loopback && address != ipv6Loopback
        let client = try InspectedSocket(
            connectedTo: isWildcard ? .ipv4(0x7F00_0001, port: listener.port) : listener.address)
        #expect(try eventually { try unread().count == 1 }, "not accepted")
        let connection = try #require(try unreadConnections(listener.address).first)
        #expect(try isUnread(connection))
        let accepted = try listener.accepted()
        let cookies = [accepted.cookie]
        #expect(connection.cookie == accepted.cookie)
        #expect(try unread() == cookies, "nothing has come")
        #expect(try isUnread(connection))

        var bytes: [UInt8] = [1, 2]
        func pass() throws {
            #expect(send(client.number, bytes, 2, 0) == 2)
            #expect(try eventually { try unread() == cookies && isUnread(connection) })
            #expect(recv(accepted.number, &bytes, 1, 0) == 1)
            #expect(try unread() == cookies, "one byte is left")
            #expect(try isUnread(connection))
            #expect(recv(accepted.number, &bytes, 1, 0) == 1)
            #expect(try unread().isEmpty)
            #expect(try !isUnread(connection))
        }
        try pass()
        try pass()
    }

    /// In place of a connection that has gone, the kernel tells of the listener.
    @Test func whatHasGoneIsNotWaitedFor() throws {
        let listener = try InspectedSocket(backlog: 9)
        let client = try InspectedSocket(connectedTo: listener.address)
        #expect(try eventually { try unreadConnections(listener.address).count == 1 })
        let connection = try #require(try unreadConnections(listener.address).first)
        let accepted = try listener.accepted()
        // Reset, so nothing of it stays.
        var lingering = linger(l_onoff: 1, l_linger: 0)
        let size = socklen_t(MemoryLayout<linger>.size)
        #expect(setsockopt(accepted.number, SOL_SOCKET, SO_LINGER, &lingering, size) == 0)
        #expect(try isUnread(connection))
        _ = consume accepted
        #expect(try settled(false) { try isUnread(connection) } == false)
        _ = consume client
    }

    @Test func udpSockets() throws {
        let socket = try InspectedSocket(.udp, ipv6Loopback)
        let inode = socket.inode
        let record = try #require(
            try internetSockets(.udp, states: [.bound, .established], localPort: socket.port)
                .first { $0.inode == inode })
        #expect(record.state == .bound)
        #expect(record.address == socket.address)
        #expect(record.cookie == socket.cookie)
    }

    /// More than fits into one message of the kernel's.
    @Test func manySockets() throws {
        var sockets = OwnedArray<InspectedSocket>()
        sockets.append(try InspectedSocket(.tcp, ipv4Loopback, shares: true, backlog: 1))
        let address = sockets[0].address
        for _ in 1..<600 { sockets.append(try InspectedSocket(.tcp, address, shares: true, backlog: 1)) }
        var expected: [UInt64] = []
        for index in 0..<sockets.count { expected.append(sockets[index].inode) }
        let found = try internetSockets(.tcp, states: .listening, localPort: address.port)
        #expect(oldestFirst(found).map { $0.inode } == expected)
    }
}

/// uname(2).
func kernelIsAtLeast(_ major: Int, _ minor: Int) -> Bool {
    guard let text = try? ProcFileSystem().read("sys/kernel/osrelease").text else { return false }
    let parts = text.split(whereSeparator: { !$0.isNumber }).compactMap { Int($0) }
    return parts.count > 1 && (parts[0], parts[1]) >= (major, minor)
}
