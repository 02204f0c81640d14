/// A length of time in whole milliseconds. Not `Duration`, whose 128-bit arithmetic would make the program larger.
struct Milliseconds: Comparable, Hashable, Sendable {
    var count: UInt64

    init(_ count: UInt64) { self.count = count }

    static func seconds(_ count: UInt64) -> Milliseconds { Milliseconds(count * 1000) }

    static func < (left: Milliseconds, right: Milliseconds) -> Bool { left.count < right.count }

    /// A year. Sums of a few times cannot overflow.
    static let longest = Milliseconds.seconds(8760 * 3600)

    /// Reads `500ms`, `30s`, `5m` or `1h`: decimal digits and a unit. Nil for anything else, and above `longest`.
    init?(parsing text: ByteString) {
        var digits = 0
        while digits < text.count, text.bytes[digits] >= UInt8(ascii: "0"), text.bytes[digits] <= UInt8(ascii: "9") {
            digits += 1
        }
        let factor: UInt64
        switch text.dropFirst(digits) {
        case "ms": factor = 1
        case "s": factor = 1000
        case "m": factor = 60_000
        case "h": factor = 3_600_000
        default: return nil
        }
        guard let number = text.prefix(digits).decimal else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: factor)
        guard !overflow, product <= Milliseconds.longest.count else { return nil }
        count = product
    }

    /// The exact time in the largest unit that divides it: `1500ms`, `30s`, `5m`, `1h`.
    var description: ByteString {
        switch count {
        case 0: "0s"
        case _ where count % 3_600_000 == 0: "\(count / 3_600_000)h"
        case _ where count % 60_000 == 0: "\(count / 60_000)m"
        case _ where count % 1000 == 0: "\(count / 1000)s"
        default: "\(count)ms"
        }
    }
}

/// Reads a length of time.
func parseTime(_ text: ByteString) throws(Malformed) -> Milliseconds {
    guard let time = Milliseconds(parsing: text) else {
        throw Malformed("'\(text)' is no time", remedy: "write 500ms, 30s, 5m or 1h, up to 8760h")
    }
    return time
}
