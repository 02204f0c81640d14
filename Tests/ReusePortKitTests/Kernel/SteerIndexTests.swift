import CLinux
import Testing

@testable import ReusePortKit

@Suite(.serialized) struct SteerIndexTests {
    @Test func theCodeForMembersSideBySide() throws {
        let program = try #require(IndexProgram(places: [2, 3, 4], balance: .random))
        #expect(program.code.map(\.code) == [0x20, 0x74, 0x24, 0x74, 0x04, 0x16])
        #expect(program.code.map(\.k) == [0xFFFF_F038, 16, 3, 16, 2, 0])
    }

    @Test func theCodeForPlacesInAnyOrder() throws {
        let program = try #require(IndexProgram(places: [7, 2, 2], balance: .random))
        // Below 1 it is 7, else 2.
        #expect(program.code.map(\.code) == [0x20, 0x74, 0x24, 0x74, 0x35, 0x06, 0x06])
        #expect(program.code.map(\.k) == [0xFFFF_F038, 16, 3, 16, 1, 7, 2])
        #expect(program.code[4].jt == 1 && program.code[4].jf == 0)
        #expect(try #require(IndexProgram(places: [5, 5], balance: .clientIP)).code.map(\.k) == [5])
    }

    /// Whatever the places are, the copy that is picked is found at its own.
    @Test func everyCopyIsFoundAtItsPlace() throws {
        var random = SystemRandomNumberGenerator()
        for count in 1...Bank.copies {
            let tables = [
                Array(0..<count), Array((0..<count).reversed()), (0..<count).map { $0 / 3 },
                (0..<count).map { _ in Int.random(in: 0..<65535, using: &random) },
            ]
            for places in tables {
                let program = try #require(IndexProgram(places: places, balance: .random))
                let code = program.code
                #expect(code.count < 600)
                var found: [Int?] = []
                for copy in 0..<count {
                    // The smallest number that is scaled to this copy.
                    let pick = (UInt32(copy) << 16 + UInt32(count) - 1) / UInt32(count)
                    found.append(run(code, random: pick << 16).map(Int.init))
                }
                #expect(found == places)
            }
        }
    }

    /// Classic BPF, as far as a program for random members has it; nil if it has more.
    private func run(_ code: [sock_filter], random: UInt32) -> UInt32? {
        var a: UInt32 = 0
        var next = 0
        while next < code.count {
            let one = code[next]
            next += 1
            switch one.code {
            case 0x20: a = random
            case 0x74: a >>= one.k
            case 0x24: a &*= one.k
            case 0x04: a &+= one.k
            case 0x35: next += Int(a >= one.k ? one.jt : one.jf)
            case 0x06: return one.k
            case 0x16: return a
            default: return nil
            }
        }
        return nil
    }

    @Test func placesThatNoGenerationCanHaveAreRefused() {
        #expect(IndexProgram(places: [], balance: .random) == nil)
        #expect(IndexProgram(places: [65535], balance: .random) == nil)
        #expect(IndexProgram(places: [0, -1], balance: .random) == nil)
        #expect(IndexProgram(places: [Int](repeating: 0, count: 256), balance: .random) == nil)
    }

    /// The kernel takes the longest program there can be, with a probe before it.
    @Test func aTableOfAllCopiesIsTaken() throws {
        let all = try members("a", "b", "c")
        let places = (0..<Bank.copies).map { [2, 0, 1][$0 % 3] }
        for balance in Balance.allCases {
            let program = try #require(IndexProgram(places: places, balance: balance))
            try program.attach(to: all[0].descriptor, probe: (9, 2))
            try program.attach(to: all[0].descriptor)
            let held = try clients(60, to: all[0].port)
            let came = try arrivals(held.count, at: all)
            if balance == .random || balance == .hash { #expect(came.count == 3) }
        }
    }

    @Test(arguments: [Balance.random, .hash, .cpu, .clientIP], [TestHost.loopback, .v6])
    func onlyTheRunGetsConnections(balance: Balance, host: TestHost) throws {
        let blue = try members("blue0", "blue1", on: host)
        let port = try blue[0].port
        try #require(IndexProgram(places: [0, 1], balance: balance)).attach(to: blue[0].descriptor)
        let all = try blue + members("green0", "green1", on: host, port: port)

        func came() throws -> Set<String> {
            let held = try clients(60, to: port, from: host)
            return Set(try arrivals(held.count, at: all).keys)
        }
        let isSpread = balance == .random || balance == .hash
        let before = try came()
        #expect(isSpread ? before == ["blue0", "blue1"] : before.isSubset(of: ["blue0", "blue1"]), "gate")
        try #require(IndexProgram(places: [2, 3], balance: balance)).attach(to: all[3].descriptor)
        let after = try came()
        #expect(isSpread ? after == ["green0", "green1"] : after.isSubset(of: ["green0", "green1"]), "cutover")
        try #require(IndexProgram(places: [3], balance: balance)).attach(to: all[0].descriptor)
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
        try #require(IndexProgram(places: [2, 3], balance: .random)).attach(to: new[0].descriptor)
        try old[0].close()
        let all = [old[1]] + new
        var held = try clients(60, to: port)
        #expect(try arrivals(held.count, at: all)["old1"] != nil, "index 3 is beyond the end: the hash leaks")
        for (index, name) in [(0, "new1"), (1, "old1"), (2, "new0")] {
            try #require(IndexProgram(places: [index], balance: .random)).attach(to: new[0].descriptor)
            held = try clients(20, to: port)
            #expect(try arrivals(held.count, at: all) == [name: 20])
        }
    }

    @Test func aClientComesBackToTheSameMember() throws {
        let all = try members("a", "b", "c", "d")
        try #require(IndexProgram(places: [0, 1, 2, 3], balance: .clientIP)).attach(to: all[0].descriptor)
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
            try IndexProgram(places: [0, 1, 2, 3], balance: .clientIP)?.attach(to: all[0].descriptor)
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
            try IndexProgram(places: [1], balance: .random)?.attach(to: both[0].descriptor)
            let held = try clients(20, to: both[0].port)
            return try arrivals(held.count, at: both)
        }
        #expect(came == ["two": 20])
    }

    /// The kernel would take the program, and then refuse to listen.
    @Test func aSocketThatIsNotListeningIsRefusedAndCanStillListen() throws {
        let socket = try member("bound", listening: false)
        let program = try #require(IndexProgram(places: [0], balance: .random))
        #expect(throws: Errno.invalid) { try program.attach(to: socket.descriptor) }
        try socket.listen()
        try program.attach(to: socket.descriptor)
    }
}
