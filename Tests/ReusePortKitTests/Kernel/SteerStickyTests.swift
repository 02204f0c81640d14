import CLinux
import Testing

@testable import ReusePortKit

/// Each client stays with the copy of its number, with the kernel's own sockets; the copies are named by their numbers.
@Suite(.serialized, .enabled(if: SteerPrivilege.isHeld, SteerPrivilege.reason))
struct SteerStickyTests {
    private static let names = ["0", "1", "2", "3"]

    /// What is seen of a crowd: at first, after a handoff, while copy 1 is missing, and when it is there again.
    private struct Story: Sendable {
        var first: Meetings
        var handedOver: Meetings
        var missing: Meetings
        var respawned: Meetings
    }

    @Test(arguments: Crowd.allCases)
    func byTwoBanks(crowd: Crowd) throws { expectSticky(try twoBanks(crowd, .clientIP)) }

    @Test(arguments: Crowd.allCases)
    func byPlaces(crowd: Crowd) throws { expectSticky(try places(crowd, .clientIP)) }

    @Test func randomOnesDoNotStay() throws {
        for story in [try twoBanks(.lastByte, .random), try places(.lastByte, .random)] {
            #expect(story.first.only == nil)
            // Of five visits, all to the same copy by chance: one in 256.
            #expect(story.first.copies.count { $0.count > 1 } > Crowd.size * 9 / 10)
        }
    }

    private func expectSticky(_ story: Story, _ location: SourceLocation = #_sourceLocation) {
        let first = story.first.only
        #expect(first != nil, sourceLocation: location)
        // As strict as if each visit were a client of its own.
        #expect(story.first.chiSquare(Self.names) * Double(Crowd.visits) < 16.27, sourceLocation: location)
        #expect(story.handedOver.only == first, sourceLocation: location)
        #expect(story.missing.only == first?.map { $0 == "1" ? "2" : $0 }, sourceLocation: location)
        #expect(story.respawned.only == first, sourceLocation: location)
    }

    private static func meetings(_ crowd: Crowd, _ port: UInt16, _ copies: [TestSocket]) throws -> Meetings {
        Meetings(
            copies: try crowd.hosts.map { host in
                let held = try clients(5, to: port, from: host)
                return try arrivals(held.count, at: copies).keys.sorted()
            })
    }

    private static func copies(_ names: [String], port: UInt16 = 0) throws -> [TestSocket] {
        var port = port
        return try names.map { name in
            let copy = try member(name, .dualStack, port: port)
            port = try copy.port
            return copy
        }
    }

    private func twoBanks(_ crowd: Crowd, _ balance: Balance) throws -> Story {
        try SteerThread.inOwnNetwork {
            try SteerThread.takeLocalAddresses()
            let selector = try SelectorMap.create()
            let blue = try Self.copies(Self.names)
            let steered = try Steered(blue[0], by: selector, balance)
            try steered.place(blue, in: .first)
            var word = Selector(liveCount: 4, nextCount: 4)
            try selector.store(word)
            let first = try Self.meetings(crowd, steered.port, blue)

            // They need not come in the order of their numbers.
            var green = try Self.copies(["3", "1", "0", "2"], port: steered.port)
            for copy in green {
                try steered.slots.place(copy.descriptor, in: Slot(.second, copy: try #require(UInt8(copy.name))))
            }
            word = word.cutOver
            try selector.store(word)
            for copy in blue { try copy.close() }
            let handedOver = try Self.meetings(crowd, steered.port, green)

            try green.remove(at: 1).close()
            let missing = try Self.meetings(crowd, steered.port, green)
            green += try Self.copies(["1"], port: steered.port)
            try steered.slots.place(green[3].descriptor, in: Slot(.second, copy: 1))
            let respawned = try Self.meetings(crowd, steered.port, green)
            return Story(first: first, handedOver: handedOver, missing: missing, respawned: respawned)
        }
    }

    private func places(_ crowd: Crowd, _ balance: Balance) throws -> Story {
        try SteerThread.inOwnNetwork {
            try SteerThread.takeLocalAddresses()
            var present = try Self.copies(Self.names)
            let port = try present[0].port
            var order: [UInt64] = []
            func redirect(to copies: [TestSocket]) throws {
                order = groupOrder(order, present: try present.map { try $0.cookie })
                var places: [Int] = []
                for name in Self.names {
                    let next = try #require(copies.first { $0.name == name } ?? copies.first { $0.name == "2" })
                    let cookie = try next.cookie
                    places.append(try #require(order.firstIndex(of: cookie)))
                }
                let program = try #require(IndexProgram(places: places, balance: balance))
                try program.attach(to: present[0].descriptor)
            }
            let blue = present
            try redirect(to: blue)
            let first = try Self.meetings(crowd, port, blue)

            var green = try Self.copies(["3", "1", "0", "2"], port: port)
            present += green
            try redirect(to: green)
            // The last ones first, as they are retired.
            for copy in blue.reversed() {
                try copy.close()
                present.removeAll { $0 === copy }
                try redirect(to: green)
            }
            let handedOver = try Self.meetings(crowd, port, green)

            let gone = green.remove(at: 1)
            try gone.close()
            present.removeAll { $0 === gone }
            try redirect(to: green)
            let missing = try Self.meetings(crowd, port, green)
            green += try Self.copies(["1"], port: port)
            present.append(green[3])
            try redirect(to: green)
            let respawned = try Self.meetings(crowd, port, green)
            return Story(first: first, handedOver: handedOver, missing: missing, respawned: respawned)
        }
    }

    // MARK: The others

    /// Places that are not side by side, and not in order.
    @Test(arguments: [Balance.random, .hash, .cpu, .clientIP])
    func onlyPlacesOfTheTableAreReached(balance: Balance) throws {
        let all = try members("a", "other", "b", "another", "c")
        try #require(IndexProgram(places: [4, 0, 2], balance: balance)).attach(to: all[0].descriptor)
        var came: Set<String> = []
        for host in UInt16(2)..<32 {
            let held = try clients(4, to: all[0].port, from: .v4(host))
            came.formUnion(try arrivals(held.count, at: all).keys)
        }
        // There may be but one processor to receive on.
        #expect(balance == .cpu ? came.isSubset(of: ["a", "b", "c"]) && !came.isEmpty : came == ["a", "b", "c"])
    }

    @Test func processorsHaveTheirPlaces() throws {
        let copies = try members("x", "1", "0", "y")
        try #require(IndexProgram(places: [2, 1], balance: .cpu)).attach(to: copies[0].descriptor)
        let port = try copies[0].port
        for processor in [0, 1] {
            // sched_setaffinity(2) of one thread; a loopback packet is received where it was sent.
            let held = try SteerThread.run { () -> [Int32] in
                var mask = UInt64(1) << processor
                let set = withUnsafeMutablePointer(to: &mask) {
                    clinux_syscall(Int(SYS_sched_setaffinity), 0, 8, Int(bitPattern: $0), 0, 0, 0)
                }
                guard set != -1 else { return [] }
                return try clients(20, to: port).map { try checked(clinux_fcntl($0.number, F_DUPFD_CLOEXEC, 3)) }
            }
            defer { for number in held { close(number) } }
            #expect(try arrivals(held.count, at: copies) == (held.isEmpty ? [:] : ["\(processor)": held.count]))
        }
    }
}
