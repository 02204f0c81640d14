import CLinux
import Testing

@testable import ReusePortKit

/// What the order of a dump says about the order of the members in a reuseport group: members are asked for one by one
/// with a cBPF program that names an index.
@Suite struct GroupOrderTests {
    @Test(
        arguments: [InternetProtocol.tcp, .udp], [ipv4Loopback, ipv6Loopback])
    func dumpAndGroup(kind: InternetProtocol, base: SocketAddress) throws {
        var members = OwnedArray<InspectedSocket>()
        var created: [UInt64] = []
        func add(at address: SocketAddress) throws {
            let socket = try InspectedSocket(kind, address, shares: true, backlog: kind == .tcp ? 16 : nil)
            created.append(socket.inode)
            members.append(socket)
        }
        try add(at: base)
        let address = members[0].address
        for _ in 1..<6 { try add(at: address) }

        /// The places in order of creation, as the kernel lists them.
        func dump() throws -> [Int] {
            let states: SocketStates = kind == .tcp ? .listening : .bound
            return try internetSockets(kind, states: states, localPort: address.port)
                .compactMap { record in created.firstIndex { $0 == record.inode } }
        }
        func oldest() throws -> [Int] {
            let states: SocketStates = kind == .tcp ? .listening : .bound
            return oldestFirst(try internetSockets(kind, states: states, localPort: address.port))
                .compactMap { record in created.firstIndex { $0 == record.inode } }
        }
        #expect(try dump() == (base.family == AF_INET ? [5, 4, 3, 2, 1, 0] : [0, 1, 2, 3, 4, 5]))
        #expect(try oldest() == [0, 1, 2, 3, 4, 5])
        #expect(try group(&members, kind).map { created.firstIndex(of: $0) } == [0, 1, 2, 3, 4, 5])

        // The second leaves: the group fills the gap with its last, the list closes up. It has not left before a child
        // that another test is starting has given up its copy.
        var kept = OwnedArray<InspectedSocket>()
        while let socket = members.popLast() {
            if socket.inode != created[1] { kept.append(socket) }
        }
        members = kept
        #expect(try settled([0, 2, 3, 4, 5], oldest) == [0, 2, 3, 4, 5])
        #expect(try group(&members, kind).map { created.firstIndex(of: $0) } == [0, 5, 2, 3, 4])
        try add(at: address)
        #expect(try oldest() == [0, 2, 3, 4, 5, 6])
        #expect(try group(&members, kind).map { created.firstIndex(of: $0) } == [0, 5, 2, 3, 4, 6])
    }

    /// If several have left, it is not known who has moved where, nor is it if nothing is recorded.
    @Test(arguments: [ipv4Loopback, ipv6Loopback]) func theOrderIsFoundOut(base: SocketAddress) throws {
        var members = OwnedArray<InspectedSocket>()
        members.append(try InspectedSocket(.tcp, base, shares: true, backlog: 16))
        let address = members[0].address
        for _ in 1..<6 { members.append(try InspectedSocket(.tcp, address, shares: true, backlog: 16)) }
        func records() throws -> [SocketRecord] {
            oldestFirst(try internetSockets(.tcp, states: .listening, localPort: address.port))
        }
        let all = try records()
        let identity = ListenerIdentity(
            name: "http", transport: .tcp, address: address, isDualStack: all[0].isIPv6Only == false,
            cookie: all[0].cookie)
        var known = ByIndex()
        try known.follow([Listener(identity: identity, publicPath: nil)])
        #expect(known.orders[0].cookies == all.map(\.cookie))
        for left in 1...2 {
            _ = members.remove(at: 0)
            try waitUntil("it has left") { try records().count == 6 - left }
        }
        try known.follow([Listener(identity: identity, publicPath: nil)])
        var nothing = ByIndex()
        try nothing.follow([Listener(identity: identity, publicPath: nil)])
        let order = try group(&members, .tcp).map { inode in all.first { $0.inode == inode }?.cookie }
        #expect(known.orders[0].cookies == order)
        #expect(nothing.orders[0].cookies == order)
        #expect(try records().count == 4)
    }

    /// TCP sockets take their place when they begin to listen, not when they are bound, and keep it when listen(2) is
    /// called again.
    @Test func listeningCountsAndBindingDoesNot() throws {
        let first = try InspectedSocket(.tcp, ipv4Loopback, shares: true)
        let second = try InspectedSocket(.tcp, first.address, shares: true)
        let third = try InspectedSocket(.tcp, first.address, shares: true)
        try second.listenNow()
        try third.listenNow()
        try first.listenNow()
        try second.listenNow(3)
        let records = oldestFirst(try internetSockets(.tcp, states: .listening, localPort: first.port))
        #expect(records.map { $0.inode } == [second.inode, third.inode, first.inode])
        #expect(records.map { $0.acceptLimit } == [3, 8, 8])
    }

    /// The inodes of the members by index: what a connection or packet arrives at when the program names that index.
    private func group(_ members: inout OwnedArray<InspectedSocket>, _ kind: InternetProtocol) throws -> [UInt64] {
        var result: [UInt64] = []
        for index in 0..<members.count {
            var instruction = sock_filter(code: UInt16(BPF_RET | BPF_K), jt: 0, jf: 0, k: UInt32(index))
            let socket = members[0].number
            try withUnsafeMutablePointer(to: &instruction) { instruction in
                var program = sock_fprog(len: 1, filter: instruction)
                try checked(
                    setsockopt(
                        socket, SOL_SOCKET, CLINUX_SO_ATTACH_REUSEPORT_CBPF, &program,
                        socklen_t(MemoryLayout<sock_fprog>.size)))
            }
            let address = members[0].address
            let type = kind == .tcp ? SOCK_STREAM : SOCK_DGRAM
            let client = Descriptor(
                owning: try checked(CLinux.socket(address.family, Int32(type.rawValue | SOCK_CLOEXEC.rawValue), 0)))
            let number = client.number
            _ = try address.withSockaddr { raw, count throws(Errno) in
                try checked(CLinux.connect(number, raw, count))
            }
            if kind == .udp { try checked(CLinux.send(number, "x", 1, 0)) }

            var entries: [pollfd] = []
            for place in 0..<members.count {
                entries.append(pollfd(fd: members[place].number, events: Int16(POLLIN), revents: 0))
            }
            try checked(CLinux.poll(&entries, nfds_t(entries.count), 10_000))
            let ready = entries.indices.filter { entries[$0].revents != 0 }
            #expect(ready.count == 1)
            let place = try #require(ready.first)
            result.append(members[place].inode)
            if kind == .tcp {
                close(try checked(accept4(members[place].number, nil, nil, Int32(SOCK_CLOEXEC.rawValue))))
            } else {
                var byte: UInt8 = 0
                try checked(CLinux.recv(members[place].number, &byte, 1, 0))
            }
        }
        return result
    }
}
