import Testing

@testable import ReusePortKit

/// What steering makes of a generation's listeners, without the kernel.
@Suite struct SteerGenerationTests {
    private func listener(_ name: ByteString, _ cookie: UInt64, _ transport: Transport = .tcp) -> Listener {
        let address: SocketAddress = transport == .unix ? .unix("/run/.\(name).1") : .ipv4(0x7F00_0001, port: 80)
        return Listener(
            identity: ListenerIdentity(
                name: name, transport: transport, address: address, isDualStack: false, cookie: cookie),
            publicPath: transport == .unix ? "/run/\(name)" : nil)
    }

    /// Cookies of one socket, or of several, for each copy.
    private func generation(_ cookies: [[UInt64]], count: Int, missing: [Int] = []) -> GenerationListeners {
        let members = cookies.enumerated().map { copy, cookies in
            GenerationListeners.Member(
                copy: copy, isServing: !missing.contains(copy),
                listeners: cookies.enumerated().map { listener($0 == 0 ? "http" : "admin", $1) })
        }
        return GenerationListeners(label: "7", bank: .second, balance: nil, copies: count, members: members)
    }

    private func groups(_ http: [UInt64], _ admin: [UInt64] = []) -> ByIndex {
        ByIndex(orders: [
            ByIndex.SocketOrder(name: "http", cookies: http), ByIndex.SocketOrder(name: "admin", cookies: admin),
        ])
    }

    @Test func eachListenerOfItsOwnHasASlot() throws {
        let own = generation([[10], [11], [12]], count: 3)
        #expect(own.slots == 3)
        #expect(own.rows.map { $0.slot } == [0, 1, 2])
        #expect(own.slot(of: listener("http", 12)) == Slot(.second, copy: 2))
        #expect(own.slot(of: listener("http", 13)) == nil)
    }

    @Test func aSharedListenerIsOneRow() throws {
        let shared = generation([[10], [10], [10]], count: 3, missing: [0, 2])
        #expect(shared.slots == 1)
        #expect(shared.rows.count == 1)
        #expect(shared.rows[0].copies == [0, 1, 2])
        #expect(shared.rows[0].isServed)
        #expect(shared.slot(of: listener("http", 10)) == Slot(.second, copy: 0))
    }

    @Test func copiesThatAreNotThereKeepTheirSlots() {
        #expect(generation([[10]], count: 4).slots == 4)
        #expect(generation([[10], [11], [12]], count: 2).slots == 2)
        #expect(generation([], count: 3).slots == 3)
        #expect(
            GenerationListeners(
                label: "7", bank: .first, balance: nil, copies: 2,
                members: [GenerationListeners.Member(copy: 0, isServing: true, listeners: [listener("a", 1, .unix)])]
            ).slots == 2)
    }

    @Test func aMissingListenerGivesItsPlaceToTheNext() {
        let groups = groups([9, 10, 11, 12, 13])
        #expect(groups.places(of: generation([[10], [11], [12], [13]], count: 4), in: "http") == [1, 2, 3, 4])
        #expect(
            groups.places(of: generation([[10], [11], [12], [13]], count: 4, missing: [1]), in: "http") == [1, 3, 3, 4])
        #expect(
            groups.places(of: generation([[10], [11], [12], [13]], count: 4, missing: [3]), in: "http") == [1, 2, 3, 1])
        #expect(groups.places(of: generation([[10], [11]], count: 2, missing: [0, 1]), in: "http") == [])
        #expect(groups.places(of: generation([[10], [11], [12]], count: 2), in: "http") == [1, 2])
        #expect(groups.places(of: generation([[11], [11], [11]], count: 3), in: "http") == [2])
        #expect(groups.places(of: generation([[11]], count: 1), in: "other") == [])
    }

    @Test func copiesAreStoppedFromTheLastPlaceToTheFirst() {
        let steering = Steering.byIndex(groups([12, 10, 11, 20]))
        #expect(steering.stopBatches([0, 1, 2], of: generation([[10], [11], [12]], count: 3)) == [[1], [0], [2]])
        #expect(steering.stopBatches([0, 1, 2], of: generation([[10], [8], [9]], count: 3)) == [[0], [1, 2]])
        #expect(steering.stopBatches([0, 1, 2], of: generation([[10], [11], [10]], count: 3)) == [[1], [0, 2]])
        #expect(steering.stopBatches([], of: generation([], count: 0)) == [])
        let banks = Steering.twoBanks(TwoBanks(selector: 1, slots: []))
        #expect(banks.stopBatches([0, 1, 2], of: generation([[10], [11], [12]], count: 3)) == [[0, 1, 2]])
    }

    /// What the kernel's hash sends to others that still listen is accepted; there it would be reset.
    @Test func crashedCopiesAreTakenAwayFirst() {
        let steering = Steering.byIndex(groups([10, 11, 12, 20]))
        let crashed = generation([[10], [11], [12]], count: 3, missing: [0])
        #expect(steering.stopBatches([0, 1, 2], of: crashed) == [[0], [2], [1]])
    }

    /// Nobody moves when they leave, in whatever order.
    @Test func theLastOnesAreStoppedTogether() throws {
        let steering = Steering.byIndex(groups([12, 20, 10, 11]))
        #expect(steering.stopBatches([0, 1, 2], of: generation([[10], [11], [12]], count: 3)) == [[1, 0], [2]])
        // One that lives on shares the last listener.
        #expect(steering.stopBatches([0, 1], of: generation([[10], [11], [11]], count: 3)) == [[1], [0]])
        let both = Steering.byIndex(groups([9, 10, 11], [20, 21]))
        #expect(both.stopBatches([0, 1], of: generation([[10, 20], [11, 21]], count: 2)) == [[1, 0]])
    }

    /// Equal last places in two groups are two listeners all the same.
    @Test func placesOfTwoSocketsAreNotTakenForOne() {
        let steering = Steering.byIndex(groups([10, 11, 12], [21, 20, 22]))
        #expect(steering.stopBatches([0, 1], of: generation([[10, 20], [11, 21]], count: 2)) == [[0], [1]])
    }

    @Test func whatMovesIsTCPAtTheSameAddress() {
        let banks = Steering.twoBanks(TwoBanks(selector: 1, slots: []))
        #expect(banks.movesQueued(from: [listener("http", 1)], to: [listener("http", 2)]))
        #expect(!banks.movesQueued(from: [listener("http", 1)], to: []))
        #expect(!banks.movesQueued(from: [listener("dns", 1, .udp)], to: [listener("dns", 2, .udp)]))
        #expect(!banks.movesQueued(from: [listener("a", 1, .unix)], to: [listener("a", 2, .unix)]))
        var elsewhere = listener("http", 2)
        elsewhere.identity.address = .ipv4(0x7F00_0002, port: 80)
        #expect(!banks.movesQueued(from: [listener("http", 1)], to: [elsewhere]))
        #expect(!Steering.byIndex(groups([1, 2])).movesQueued(from: [listener("http", 1)], to: [listener("http", 2)]))
        #expect(!Steering.off.movesQueued(from: [listener("http", 1)], to: [listener("http", 2)]))
    }

    @Test(
        arguments: [
            nil, .off, .byIndex(ByIndex()),
            .byIndex(ByIndex(orders: [ByIndex.SocketOrder(name: "http", cookies: [5, 6])])),
            .twoBanks(
                TwoBanks(
                    selector: 7,
                    slots: [TwoBanks.SocketSlots(name: "http", map: 8), TwoBanks.SocketSlots(name: "dns", map: 9)])),
        ] as [Steering?])
    func itIsReadAsItWasWritten(steering: Steering?) throws {
        let app = AppRecord()
        app.steering = steering
        #expect(AppRecord(text: app.text) == app)
    }

    @Test func filesOfBeforeAreRead() throws {
        func read(_ lines: ByteString) -> AppRecord? { AppRecord(text: "format=1\nsequence=3\n\(lines)end=\n") }
        let banks = try #require(read("steering=ebpf\nselector=12\nslots=34 http\nslots=35 admin\n"))
        #expect(
            banks.steering
                == .twoBanks(
                    TwoBanks(
                        selector: 12,
                        slots: [
                            TwoBanks.SocketSlots(name: "http", map: 34), TwoBanks.SocketSlots(name: "admin", map: 35),
                        ]
                    )))
        let index = try #require(read("steering=cbpf\norder=http 5 6\norder=admin 7\n"))
        #expect(index.steering == .byIndex(groups([5, 6], [7])))
        #expect(read("steering=off\n")?.steering == .off)
        #expect(read("steering=unheard-of\n") != nil)
        #expect(read("steering=ebpf\n") == nil)
        #expect(read("steering=ebpf\nselector=12\nslots=http\n") == nil)
    }
}
