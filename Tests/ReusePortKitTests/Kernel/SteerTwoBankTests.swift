import CLinux
import Testing

@testable import ReusePortKit

@Suite(.serialized, .enabled(if: SteerPrivilege.isHeld, SteerPrivilege.reason))
final class SteerTwoBankTests {
    let selector: SelectorMap

    init() throws { selector = try SelectorMap.create() }

    // MARK: Who gets what

    @Test(arguments: [TestHost.loopback, .v6, .dualStack], [SOCK_STREAM, SOCK_DGRAM])
    func theNextGenerationIsGatedUntilTheCutoverAndAfterARollback(host: TestHost, kind: __socket_type) throws {
        let blue = try members("blue0", "blue1", "blue2", on: host, kind: kind)
        let steered = try Steered(blue[0], by: selector)
        try steered.place(blue, in: .first)
        var word = Selector(liveCount: 3)
        try selector.store(word)
        let green = try members("green0", "green1", on: host, port: steered.port, kind: kind)

        func generations() throws -> (blue: [String], green: [String]) {
            let sources: [TestHost] = host == .dualStack ? [.loopback, .v6] : [host]
            var came: Set<String> = []
            for source in sources {
                let held = try clients(60, to: steered.port, from: source, kind: kind)
                came.formUnion(try arrivals(held.count, at: blue + green).keys)
            }
            return (came.filter { $0.hasPrefix("blue") }.sorted(), came.filter { $0.hasPrefix("green") }.sorted())
        }
        let onlyBlue = (["blue0", "blue1", "blue2"], [String]())
        #expect(try generations() == onlyBlue, "green is in no slot")
        try steered.place(green, in: .second)
        #expect(try generations() == onlyBlue, "green is in its slots")
        word.nextCount = 2
        try selector.store(word)
        #expect(try generations() == onlyBlue, "green is counted")
        try selector.store(word.cutOver)
        #expect(try generations() == ([], ["green0", "green1"]), "cutover")
        try selector.store(word.cutOver.cutOver)
        #expect(try generations() == onlyBlue, "rollback")
    }

    @Test func oneStoreCutsOverTheSocketsOfBothFamilies() throws {
        let blue4 = try member("blue4")
        let blue6 = try member("blue6", .v6)
        let steered4 = try Steered(blue4, by: selector)
        let steered6 = try Steered(blue6, by: selector)
        let green4 = try member("green4", port: steered4.port)
        let green6 = try member("green6", .v6, port: steered6.port)
        try steered4.place([blue4], in: .first)
        try steered6.place([blue6], in: .first)
        try steered4.place([green4], in: .second)
        try steered6.place([green6], in: .second)

        func came() throws -> [String: Int] {
            let held = try clients(20, to: steered4.port) + clients(20, to: steered6.port, from: .v6)
            return try arrivals(held.count, at: [blue4, blue6, green4, green6])
        }
        let word = Selector(liveCount: 1, nextCount: 1)
        try selector.store(word)
        #expect(try came() == ["blue4": 20, "blue6": 20])
        try selector.store(word.cutOver)
        #expect(try came() == ["green4": 20, "green6": 20])
    }

    @Test(arguments: [Balance.random, .clientIP])
    func theCanaryGetsAboutItsShareOnAllItsCopies(balance: Balance) throws {
        let all = try members("blue", "green0", "green1")
        let steered = try Steered(all[0], by: selector, balance)
        try steered.place([all[0]], in: .first)
        try steered.place(Array(all[1...]), in: .second)
        try selector.store(Selector(liveCount: 1, nextCount: 2, canaryShare: 0x4000))
        var came: [String: Int] = [:]
        for round in 0..<16 {
            var held: [TestSocket] = []
            for client in 0..<50 {
                held += try clients(1, to: steered.port, from: .v4(UInt16(2 + 50 * round + client)))
            }
            came.merge(try arrivals(held.count, at: all), uniquingKeysWith: +)
        }
        // Of 800. Eight standard deviations to both sides of 200 and 100.
        let green = [came["green0", default: 0], came["green1", default: 0]]
        #expect((100...300).contains(green[0] + green[1]))
        for count in green { #expect((25...175).contains(count)) }
    }

    @Test func aClientStaysWithTheGenerationItHasMet() throws {
        let both = try members("blue", "green")
        let steered = try Steered(both[0], by: selector, .clientIP)
        try steered.place([both[0]], in: .first)
        try steered.place([both[1]], in: .second)
        try selector.store(Selector(liveCount: 1, nextCount: 1, canaryShare: 0x8000))
        var met: Set<String> = []
        for address in UInt16(2)..<32 {
            let held = try clients(5, to: steered.port, from: .v4(address))
            let came = try arrivals(held.count, at: both)
            #expect(came.count == 1, "127.0.0.\(address)")
            met.formUnion(came.keys)
        }
        #expect(met == ["blue", "green"])
    }

    // MARK: The probe

    @Test(arguments: [
        (TestHost.loopback, TestHost.loopback), (.v6, .v6), (.dualStack, .loopback), (.dualStack, .v6),
    ])
    func aProbeReachesItsSlotOnly(host: TestHost, source: TestHost) throws {
        let both = try members("blue", "green", on: host)
        let steered = try Steered(both[0], by: selector)
        try steered.place([both[0]], in: .first)
        try steered.slots.place(both[1].descriptor, in: .probe)
        let probe = try TestSocket("probe", source)
        try probe.bind()
        var word = Selector(liveCount: 1, nextCount: 1, probePort: try probe.port)
        try selector.store(word)
        let held = try clients(20, to: steered.port, from: source)
        #expect(try arrivals(held.count, at: both) == ["blue": 20], "other ports")
        try probe.connect(to: source, port: steered.port)
        #expect(try arrivals(1, at: both) == ["green": 1], "the probe's port")

        // Whatever else the word says.
        word = word.cutOver
        word.canaryShare = 65535
        let second = try TestSocket("probe", source)
        try second.bind()
        word.probePort = try second.port
        try selector.store(word)
        try second.connect(to: source, port: steered.port)
        #expect(try arrivals(1, at: both) == ["green": 1], "after a cutover")
    }

    @Test func whoHasTheProbesPortButNotItsAddressIsAClient() throws {
        let both = try members("blue", "green")
        let steered = try Steered(both[0], by: selector)
        try steered.place([both[0]], in: .first)
        try steered.slots.place(both[1].descriptor, in: .probe)
        let probe = try TestSocket("probe", .loopback)
        try probe.bind()
        try selector.store(Selector(liveCount: 1, nextCount: 1, probePort: try probe.port))
        for address in [UInt16(2), 0x0100, 0x0101] {
            let held = try clients(1, to: steered.port, from: .v4(address), sourcePort: probe.port)
            #expect(try arrivals(held.count, at: both) == ["blue": 1])
        }
    }

    @Test func whoHasTheProbesPortButNotItsIPv6AddressIsAClient() throws {
        // One with the network of ::1, one with its interface.
        let hosts: [TestHost] = [.nearLoopback6, .local6(0, 1)]
        let id = try selector.id()
        let came = try SteerThread.inOwnNetwork(addresses: hosts) {
            let selector = try SelectorMap.open(id: id)
            let both = try members("blue", "green", on: .v6)
            let steered = try Steered(both[0], by: selector)
            try steered.place([both[0]], in: .first)
            try steered.slots.place(both[1].descriptor, in: .probe)
            try selector.store(Selector(liveCount: 1, nextCount: 1, probePort: 40001))
            return try (hosts + [.v6]).map { host in
                let held = try clients(1, to: steered.port, from: host, sourcePort: 40001)
                return try arrivals(held.count, at: both)
            }
        }
        #expect(came == [["blue": 1], ["blue": 1], ["green": 1]])
    }

    @Test(arguments: [UInt16(0), 1])
    func aProbeIsRefusedIfItsSlotIsEmpty(count: UInt16) throws {
        let both = try members("blue", "starting")
        let steered = try Steered(both[0], by: selector)
        try steered.place([both[0]], in: .first)
        let probe = try TestSocket("probe", .loopback)
        try probe.bind()
        try selector.store(Selector(liveCount: 1, nextCount: count, probePort: try probe.port))
        #expect(throws: Errno.connectionRefused) { try probe.connect(to: .loopback, port: steered.port) }
    }

    // MARK: Copies that are missing

    @Test(arguments: [Bank.first, .second])
    func emptySlotsArePassedOverAndTheLastIsFollowedByTheFirst(bank: Bank) throws {
        let both = try members("filled", "gated")
        let steered = try Steered(both[0], by: selector)
        try selector.store(Selector(liveBank: bank, liveCount: 8))
        for copy in [UInt8(0), 3, 7] {
            try steered.slots.place(both[0].descriptor, in: Slot(bank, copy: copy))
            let held = try clients(40, to: steered.port)
            #expect(try arrivals(held.count, at: both) == ["filled": 40], "slot \(copy)")
            try steered.slots.clear(Slot(bank, copy: copy))
        }
    }

    @Test(arguments: [Selector(), Selector(liveCount: 8), Selector(liveBank: .second, liveCount: 256)])
    func withNobodyLiveTheKernelChooses(word: Selector) throws {
        let both = try members("one", "two")
        let steered = try Steered(both[0], by: selector)
        try selector.store(word)
        let held = try clients(60, to: steered.port)
        #expect(try arrivals(held.count, at: both).keys.sorted() == ["one", "two"])
    }

    @Test(arguments: [true, false])
    func connectionsInTheQueueOfACopyThatDiesMoveToItsSiblings(byShutdown: Bool) throws {
        let blue = try members("blue0", "blue1")
        let steered = try Steered(blue[0], by: selector)
        try steered.place(blue, in: .first)
        try selector.store(Selector(liveCount: 2))
        let green = try member("green", port: steered.port)
        try steered.place([green], in: .second)
        let held = try clients(60, to: steered.port)
        // A canary this wide would take them, if it were for connections without listener.
        try selector.store(Selector(liveCount: 2, nextCount: 1, canaryShare: 65535))
        if byShutdown { try checked(shutdown(blue[0].number, Int32(SHUT_RD))) } else { try blue[0].close() }
        #expect(try steered.slots.cookie(in: Slot(.first, copy: 0)) == nil)
        #expect(try arrivals(held.count, at: [blue[1], green]) == ["blue1": 60])
    }

    @Test func handshakesUnderWayMoveToTheNewGeneration() throws {
        let old = try member("old", deferAccept: true)
        let steered = try Steered(old, by: selector)
        try steered.place([old], in: .first)
        try selector.store(Selector(liveCount: 1))
        // Without data none of them is complete for the listener.
        let held = try clients(60, to: steered.port)
        let new = try member("new", port: steered.port, deferAccept: true)
        try steered.place([new], in: .second)
        try selector.store(Selector(liveCount: 1, nextCount: 1).cutOver)
        try old.close()
        for client in held { try checked(send(client.number, "x", 1, Int32(MSG_NOSIGNAL))) }
        #expect(try arrivals(held.count, at: [new]) == ["new": 60])
    }

    @Test func aRespawnedCopyTakesItsSlot() throws {
        let copies = try members("one", "two")
        let steered = try Steered(copies[0], by: selector)
        try steered.place(copies, in: .first)
        try selector.store(Selector(liveCount: 2))
        try copies[0].close()
        let again = try member("again", port: steered.port)
        var held = try clients(40, to: steered.port)
        #expect(try arrivals(held.count, at: [copies[1], again]) == ["two": 40])
        try steered.slots.place(again.descriptor, in: Slot(.first, copy: 0))
        held = try clients(40, to: steered.port)
        #expect(try arrivals(held.count, at: [copies[1], again]).keys.sorted() == ["again", "two"])
    }

    // MARK: Balance

    @Test(arguments: [TestHost.loopback, .dualStack])
    func aClientComesBackToTheSameCopy(host: TestHost) throws {
        let copies = try members("a", "b", "c", "d", on: host)
        let steered = try Steered(copies[0], by: selector, .clientIP)
        try steered.place(copies, in: .first)
        try selector.store(Selector(liveCount: 4))
        var used: Set<String> = []
        for address in UInt16(2)..<42 {
            let held = try clients(5, to: steered.port, from: .v4(address))
            let came = try arrivals(held.count, at: copies)
            #expect(came.count == 1, "127.0.0.\(address)")
            used.formUnion(came.keys)
        }
        #expect(used.count == 4)
    }

    @Test func aClientComesBackToTheSameCopyByIPv6() throws {
        // Such that differ in the network, in the interface, and in both by the same.
        let hosts = (UInt16(1)...12).flatMap { [TestHost.local6($0, 0), .local6(0, $0), .local6($0, $0)] }
        let id = try selector.id()
        let came = try SteerThread.inOwnNetwork(addresses: hosts) {
            let selector = try SelectorMap.open(id: id)
            let copies = try members("a", "b", "c", "d", on: .dualStack)
            let steered = try Steered(copies[0], by: selector, .clientIP)
            try steered.place(copies, in: .first)
            try selector.store(Selector(liveCount: 4))
            return try hosts.map { host in
                let held = try clients(5, to: steered.port, from: host)
                return try arrivals(held.count, at: copies)
            }
        }
        for (host, came) in zip(hosts, came) { #expect(came.count == 1, "\(host)") }
        for kind in 0..<3 {
            let used = stride(from: kind, to: hosts.count, by: 3).flatMap { came[$0].keys }
            #expect(Set(used).count > 1)
        }
    }

    @Test(arguments: [Balance.random, .hash])
    func connectionsAreSpread(balance: Balance) throws {
        let copies = try members("a", "b", "c")
        let steered = try Steered(copies[0], by: selector, balance)
        try steered.place(copies, in: .second)
        try selector.store(Selector(liveBank: .second, liveCount: 3))
        let gated = try member("gated", port: steered.port)
        let held = try clients(90, to: steered.port)
        let came = try arrivals(held.count, at: copies + [gated])
        #expect(came.keys.sorted() == ["a", "b", "c"])
        // A third each; five standard deviations.
        for share in came.values { #expect((8...52).contains(share)) }
    }

    @Test func processorsHaveTheirCopies() throws {
        let copies = try members("0", "1", "2", "3")
        let steered = try Steered(copies[0], by: selector, .cpu)
        try steered.place(copies, in: .first)
        try selector.store(Selector(liveCount: 4))
        let port = steered.port
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
