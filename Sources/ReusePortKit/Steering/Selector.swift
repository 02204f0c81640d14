/// One of the two ranges of slots in an app's maps.
enum Bank: UInt8, Equatable, Sendable {
    case first = 0
    case second = 1

    var other: Bank { self == .first ? .second : .first }

    /// How many slots a bank has.
    static let size = 256
    /// How many copies a generation can have: the last slot is for probes.
    static let copies = 255
}

/// Who gets the next connection: the word that all selection programs of an app read for each one.
///
/// Everything is in one word so that one store switches all sockets of the app at once. A live count of 0 says that
/// nothing is known yet: then the kernel chooses among all listeners, as it does without a program.
struct Selector: Equatable, Sendable {
    /// The bank of the generation that serves clients.
    var liveBank: Bank
    /// How many slots of the live bank are in use: 0…256.
    var liveCount: UInt16
    /// How many slots of the other bank are in use: 0…256.
    var nextCount: UInt16
    /// How many of 65536 connections go to the next bank. With `Balance.clientIP` it is a share of the clients instead:
    /// each stays with the generation it has met.
    var canaryShare: UInt16
    /// A connection from this port of 127.0.0.1 or ::1 is a probe, and goes to the probe's slot.
    var probePort: UInt16?

    init(
        liveBank: Bank = .first, liveCount: UInt16 = 0, nextCount: UInt16 = 0, canaryShare: UInt16 = 0,
        probePort: UInt16? = nil
    ) {
        self.liveBank = liveBank
        self.liveCount = liveCount
        self.nextCount = nextCount
        self.canaryShare = canaryShare
        self.probePort = probePort
    }

    /// Takes the word apart. Any word is valid: counts above a bank's size are read as that size.
    init(word: UInt64) {
        liveBank = word >> 12 & 1 == 0 ? .first : .second
        liveCount = Selector.bounded(UInt16(word & 0xFFF))
        nextCount = Selector.bounded(UInt16(word >> 16 & 0xFFF))
        canaryShare = UInt16(word >> 32 & 0xFFFF)
        let port = UInt16(word >> 48)
        probePort = port == 0 ? nil : port
    }

    /// Bits 0–11 live count, 12 live bank, 16–27 next count, 32–47 canary share, 48–63 probe port.
    ///
    /// A count never reaches beyond its bank, for the programs rely on it.
    var word: UInt64 {
        UInt64(Selector.bounded(liveCount))
            | UInt64(liveBank.rawValue) << 12
            | UInt64(Selector.bounded(nextCount)) << 16
            | UInt64(canaryShare) << 32
            | UInt64(probePort ?? 0) << 48
    }

    /// The next bank becomes the live one and the live one the next, without canary or probe. Twice is a rollback.
    var cutOver: Selector {
        Selector(liveBank: liveBank.other, liveCount: nextCount, nextCount: liveCount)
    }

    /// The share for so many per cent; 100 is the largest there is, for all of them is a cutover.
    static func share(percent: UInt8) -> UInt16 {
        UInt16(min(UInt32(percent) * 65536 / 100, 65535))
    }

    private static func bounded(_ count: UInt16) -> UInt16 { min(count, UInt16(Bank.size)) }
}
