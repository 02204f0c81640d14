@testable import ReusePortKit

/// Many clients that differ in one part of their addresses.
enum Crowd: CaseIterable, Sendable {
    case lastByte, lastTwoBytes, mapped, interface, network

    static let size = 220
    static let visits = 20

    var hosts: [TestHost] {
        (0..<UInt16(Crowd.size)).map { number in
            switch self {
            case .lastByte: .v4(2 + number)
            case .lastTwoBytes: .v4((1 + number / 20) << 8 + 1 + number % 20)
            case .mapped: .mapped(2 + number)
            case .interface: .local6(0, 1 + number)
            case .network: .local6(1 + number, 1)
            }
        }
    }
}

/// Which copies each client of a crowd has met, by their names.
struct Meetings: Sendable, Equatable {
    var copies: [[String]]

    /// The one copy that each has met; nil if one has met several.
    var only: [String]? {
        let result = copies.compactMap { $0.count == 1 ? $0[0] : nil }
        return result.count == copies.count ? result : nil
    }

    /// What it would be if those of one copy met another instead.
    func moved(from old: String, to new: String) -> Meetings {
        Meetings(copies: copies.map { $0 == [old] ? [new] : $0 })
    }

    /// How far the numbers of clients are from even ones; by chance alone, it is above 16.27 once in a thousand times
    /// with four copies. If each visit counts, for `visits` times as many of them.
    func chiSquare(_ names: [String]) -> Double {
        let met = copies.compactMap(\.first)
        let expected = Double(met.count) / Double(names.count)
        return names.reduce(0) { sum, name in
            let difference = Double(met.filter { $0 == name }.count) - expected
            return sum + difference * difference / expected
        }
    }
}
