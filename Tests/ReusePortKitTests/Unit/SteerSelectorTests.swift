import Testing

@testable import ReusePortKit

@Suite struct SteerSelectorTests {
    static let selectors: [(Selector, UInt64)] = [
        (Selector(), 0),
        (Selector(liveBank: .second), 1 << 12),
        (Selector(liveCount: 256), 256),
        (Selector(nextCount: 256), 256 << 16),
        (Selector(canaryShare: 65535), 0xFFFF << 32),
        (Selector(probePort: 65535), 0xFFFF << 48),
        (
            Selector(liveBank: .second, liveCount: 3, nextCount: 2, canaryShare: 6554, probePort: 40001),
            3 | 1 << 12 | 2 << 16 | 6554 << 32 | 40001 << 48
        ),
    ]

    @Test(arguments: selectors)
    func packsAndUnpacks(selector: Selector, word: UInt64) {
        #expect(selector.word == word)
        #expect(Selector(word: word) == selector)
    }

    @Test func countsNeverReachBeyondTheBank() {
        #expect(Selector(liveCount: 257, nextCount: 65535).word == 256 | 256 << 16)
        #expect(Selector(word: .max).liveCount == 256)
        #expect(Selector(word: .max).nextCount == 256)
    }

    @Test func slotsOfTheBanksDoNotMeet() {
        #expect(Slot(.first, copy: 255).key == 255)
        #expect(Slot(.second, copy: 0).key == 256)
        #expect(Slot(.second, copy: 255).key == 511)
    }
}
