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

/// The word that all selection programs of an app read for each new connection.
///
/// Everything is in one word so that one store switches all sockets of the app at once. While the live count is 0, the
/// kernel chooses among all listeners, as it does without a program.
struct Selector: Equatable, Sendable {
    /// The bank of the generation that serves clients.
    var liveBank = Bank.first
    /// How many slots of the live bank are in use: 0…256.
    var liveCount: UInt16 = 0
    /// How many slots of the other bank are in use: 0…256.
    var nextCount: UInt16 = 0
    /// How many of 65536 connections go to the next bank. With `Balance.clientIP` it is a share of the clients, so that
    /// each client always meets the same generation.
    var canaryShare: UInt16 = 0
    /// A connection from this port of 127.0.0.1 or ::1 is a probe, and goes to the probe's slot.
    var probePort: UInt16?
}

extension Selector {
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
    /// Programs rely on counts that do not reach beyond a bank.
    var word: UInt64 {
        UInt64(Selector.bounded(liveCount))
            | UInt64(liveBank.rawValue) << 12
            | UInt64(Selector.bounded(nextCount)) << 16
            | UInt64(canaryShare) << 32
            | UInt64(probePort ?? 0) << 48
    }

    private static func bounded(_ count: UInt16) -> UInt16 { min(count, UInt16(Bank.size)) }
}
