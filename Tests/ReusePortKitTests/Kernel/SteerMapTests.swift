import CLinux
import Testing

@testable import ReusePortKit

@Suite(.serialized, .enabled(if: SteerPrivilege.isHeld, SteerPrivilege.reason))
struct SteerMapTests {
    private static let stale = Errno(rawValue: ESTALE)

    @Test func theSelectorHoldsWhatIsStored() throws {
        let map = try SelectorMap.create()
        #expect(try map.load() == Selector())
        let selector = Selector(
            liveBank: .second, liveCount: 256, nextCount: 17, canaryShare: 1000, probePort: 65535)
        try map.store(selector)
        #expect(try map.load() == selector)
        // The kernel's own view of the same memory.
        #expect(try map.map.lookup(0) == selector.word)
    }

    @Test func aSlotTellsTheCookieOfItsListener() throws {
        let slots = try SlotsMap.create()
        let listener = try member("listener")
        let slot = Slot(.second, copy: 255)
        #expect(try slots.cookie(in: slot) == nil)
        try slots.place(listener.descriptor, in: slot)
        #expect(try slots.cookie(in: slot) == listener.cookie)
        try slots.place(listener.descriptor, in: slot)
        #expect(throws: Errno.busy) { try slots.place(listener.descriptor, in: Slot(.first, copy: 0)) }
        let other = try member("other", port: listener.port)
        try slots.place(other.descriptor, in: slot)
        #expect(try slots.cookie(in: slot) == other.cookie)
        try slots.place(listener.descriptor, in: Slot(.first, copy: 0))
        #expect(try slots.clear(slot))
        #expect(try !slots.clear(slot))
        #expect(try slots.cookie(in: slot) == nil)
        try listener.close()
        #expect(try slots.cookie(in: Slot(.first, copy: 0)) == nil)
    }

    @Test func aSocketThatIsNotListeningIsRefused() throws {
        let slots = try SlotsMap.create()
        let bound = try member("bound", listening: false)
        #expect(throws: Errno.invalid) { try slots.place(bound.descriptor, in: Slot(.first, copy: 0)) }
    }

    /// While a group has members its maps are there, whoever made them has gone or not.
    @Test func mapsAreFoundAgainByTheirIDs() throws {
        let both = try members("blue", "green")
        let ids = try { () throws -> (selector: UInt32, slots: UInt32) in
            let selector = try SelectorMap.create()
            let steered = try Steered(both[0], by: selector)
            try selector.store(Selector(liveCount: 1, nextCount: 1))
            return (try selector.id(), try steered.slots.id())
        }()
        #expect(ids.selector != ids.slots)
        do {
            let slots = try SlotsMap.open(id: ids.slots)
            try slots.place(both[0].descriptor, in: Slot(.first, copy: 0))
            try slots.place(both[1].descriptor, in: Slot(.second, copy: 0))
            let selector = try SelectorMap.open(id: ids.selector)
            let word = try selector.load()
            #expect(word == Selector(liveCount: 1, nextCount: 1))
            for (word, name) in [(word, "blue"), (word.cutOver, "green")] {
                try selector.store(word)
                let held = try clients(20, to: both[0].port)
                #expect(try arrivals(held.count, at: both) == [name: 20])
            }
        }
        for socket in both { try socket.close() }
        // The kernel frees them after a grace period.
        try waitUntil("the map to be gone") {
            reason { () throws(Errno) in _ = try SelectorMap.open(id: ids.selector) } == .noEntry
        }
    }

    @Test func aForeignMapIsRefused() throws {
        let selector = try SelectorMap.create()
        let slots = try SlotsMap.create()
        #expect(throws: Self.stale) { _ = try SlotsMap.open(id: selector.id()) }
        #expect(throws: Self.stale) { _ = try SelectorMap.open(id: slots.id()) }
        let like = MapShape.selector
        let foreign = [
            MapShape(type: like.type, entries: 1, flags: like.flags, name: "other"),
            MapShape(type: like.type, entries: 1, flags: like.flags, name: "rpx_selector2"),
            MapShape(type: like.type, entries: 2, flags: like.flags, name: like.name),
            MapShape(type: like.type, entries: 1, flags: 0, name: like.name),
            MapShape(type: BPF_MAP_TYPE_HASH.rawValue, entries: 1, flags: 0, name: like.name),
        ]
        for shape in foreign {
            let map = try BPFMap.create(shape)
            #expect(throws: Self.stale) { _ = try SelectorMap.open(id: map.id()) }
        }
        #expect(throws: Errno.noEntry) { _ = try SelectorMap.open(id: 0) }
        _ = try SelectorMap.open(id: selector.id())
    }

    @Test func theVerifiersWordsAreKept() throws {
        // Ends without a result.
        let failure = try #require(throws: LoadFailure.self) {
            _ = try loadProgram([Instruction(opcode: 0x95)], name: "rpx_broken")
        }
        #expect(failure.errno == .accessDenied)
        #expect(String(decoding: failure.log.bytes, as: UTF8.self).contains("R0 !read_ok"))
    }

    /// As on a kernel before 5.14, for which the field for migration is beyond the context's end.
    @Test func anUnknownFieldOfTheContextMeansThatTheKernelIsTooOld() throws {
        var code = Assembler()
        code.load(.double, .r0, from: .r1, 4096)
        code.exit()
        let failure = try #require(throws: LoadFailure.self) {
            _ = try loadProgram(try code.assembled(), name: "rpx_broken")
        }
        #expect(failure.errno == Errno(rawValue: EOPNOTSUPP))
    }
}
