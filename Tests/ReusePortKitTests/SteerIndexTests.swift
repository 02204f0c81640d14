import CLinux
import Testing

@testable import ReusePortKit

@Suite(.serialized) struct SteerIndexTests {
    @Test func theCodeForARandomMember() throws {
        let program = try #require(IndexProgram(base: 2, count: 3, balance: .random))
        #expect(program.code.map(\.code) == [0x20, 0x74, 0x24, 0x74, 0x04, 0x16])
        #expect(program.code.map(\.k) == [0xFFFF_F038, 16, 3, 16, 2, 0])
    }

    @Test func aRunThatNoGroupCanHaveIsRefused() {
        #expect(IndexProgram(base: 0, count: 0, balance: .random) == nil)
        #expect(IndexProgram(base: 65535, count: 1, balance: .random) == nil)
        #expect(IndexProgram(base: 1, count: .max, balance: .random) == nil)
    }

    @Test(arguments: [Balance.random, .hash, .cpu, .clientIP], [TestHost.loopback, .v6])
    func onlyTheRunGetsConnections(balance: Balance, host: TestHost) throws {
        let blue = try members("blue0", "blue1", on: host)
        let port = try blue[0].port
        try #require(IndexProgram(base: 0, count: 2, balance: balance)).attach(to: blue[0].descriptor)
        let all = try blue + members("green0", "green1", on: host, port: port)

        func came() throws -> Set<String> {
            let held = try clients(60, to: port, from: host)
            return Set(try arrivals(held.count, at: all).keys)
        }
        let isSpread = balance == .random || balance == .hash
        let before = try came()
        #expect(isSpread ? before == ["blue0", "blue1"] : before.isSubset(of: ["blue0", "blue1"]), "gate")
        try #require(IndexProgram(base: 2, count: 2, balance: balance)).attach(to: all[3].descriptor)
        let after = try came()
        #expect(isSpread ? after == ["green0", "green1"] : after.isSubset(of: ["green0", "green1"]), "cutover")
        try #require(IndexProgram(base: 3, count: 1, balance: balance)).attach(to: all[0].descriptor)
        #expect(try came() == ["green1"], "one")
        #expect(try detachSteering(from: all[0].descriptor))
        #expect(try came().count == 4, "detached")
        #expect(try !detachSteering(from: all[0].descriptor))
    }

    /// The last member takes the place of one that leaves.
    @Test func aHoleIsFilledByTheLastMember() throws {
        let old = try members("old0", "old1")
        let port = try old[0].port
        let new = try members("new0", "new1", port: port)
        try #require(IndexProgram(base: 2, count: 2, balance: .random)).attach(to: new[0].descriptor)
        old[0].close()
        let all = [old[1]] + new
        var held = try clients(60, to: port)
        #expect(try arrivals(held.count, at: all)["old1"] != nil, "index 3 is beyond the end: the hash leaks")
        for (index, name) in [(UInt32(0), "new1"), (1, "old1"), (2, "new0")] {
            try #require(IndexProgram(base: index, count: 1, balance: .random)).attach(to: new[0].descriptor)
            held = try clients(20, to: port)
            #expect(try arrivals(held.count, at: all) == [name: 20])
        }
    }

    @Test func aClientComesBackToTheSameMember() throws {
        let all = try members("a", "b", "c", "d")
        try #require(IndexProgram(base: 0, count: 4, balance: .clientIP)).attach(to: all[0].descriptor)
        var used: Set<String> = []
        for address in UInt16(2)..<42 {
            let held = try clients(5, to: all[0].port, from: .v4(address))
            let came = try arrivals(held.count, at: all)
            #expect(came.count == 1, "127.0.0.\(address)")
            used.formUnion(came.keys)
        }
        #expect(used.count == 4)
    }

    @Test(.enabled(if: SteerPrivilege.isHeld, SteerPrivilege.reason))
    func aClientComesBackToTheSameMemberByIPv6() throws {
        let hosts = (UInt16(1)...12).flatMap { [TestHost.local6($0, 0), .local6(0, $0)] }
        let came = try SteerThread.inOwnNetwork(addresses: hosts) {
            let all = try members("a", "b", "c", "d", on: .dualStack)
            try IndexProgram(base: 0, count: 4, balance: .clientIP)?.attach(to: all[0].descriptor)
            return try hosts.map { host in
                let held = try clients(5, to: all[0].port, from: host)
                return try arrivals(held.count, at: all)
            }
        }
        for (host, came) in zip(hosts, came) { #expect(came.count == 1, "\(host)") }
        for kind in 0..<2 {
            let used = stride(from: kind, to: hosts.count, by: 2).flatMap { came[$0].keys }
            #expect(Set(used).count > 1)
        }
    }

    @Test func itNeedsNoPrivilege() throws {
        let came = try SteerThread.unprivileged {
            let both = try members("one", "two")
            try IndexProgram(base: 1, count: 1, balance: .random)?.attach(to: both[0].descriptor)
            let held = try clients(20, to: both[0].port)
            return try arrivals(held.count, at: both)
        }
        #expect(came == ["two": 20])
    }

    /// The kernel would take the program, and then refuse to listen.
    @Test func aSocketThatIsNotListeningIsRefusedAndCanStillListen() throws {
        let socket = try member("bound", listening: false)
        let program = try #require(IndexProgram(base: 0, count: 1, balance: .random))
        #expect(throws: Errno.invalid) { try program.attach(to: socket.descriptor) }
        try socket.listen()
        try program.attach(to: socket.descriptor)
    }
}
