import CLinux
import ReusePortKit

/// Counts the outcomes of all requests.
final class Tally {
    private let startedAt = now()
    private var counts = [Int](repeating: 0, count: Outcome.allCases.count)
    /// The latencies of the good answers, in microseconds.
    private var latencies: [UInt32] = []
    private var labels: [(name: ByteString, count: Int)] = []
    private var pids: [(name: ByteString, count: Int)] = []
    var connections = 0
    /// The number of attempts to connect that were repeated because a Unix listener's backlog was full.
    var connectRetries = 0
    /// A description of the first loss, and when it came.
    private(set) var firstLoss: ByteString?

    private let record: Int32?
    private var lines = ByteString()

    init(record: Int32?) { self.record = record }

    var requests: Int { counts.reduce(0, +) - counts[Outcome.idleRace.rawValue] }
    var lost: Int { requests - counts[Outcome.ok.rawValue] }

    func noteLoss(_ words: ByteString) {
        if firstLoss == nil { firstLoss = "\(words), after \((now() - startedAt) / 1000) ms" }
    }

    func count(_ outcome: Outcome, from start: Int64, to end: Int64, label: ByteString?, pid: ByteString?) {
        counts[outcome.rawValue] += 1
        if outcome == .ok { latencies.append(UInt32(clamping: end - start)) }
        if outcome == .ok || outcome == .badStatus {
            add(label ?? "-", to: &labels)
            add(pid ?? "-", to: &pids)
        }
        guard record != nil else { return }
        lines.append("\(start) \(end - start) \(outcome.word) \(pid ?? "-")\n")
        if lines.count > 1 << 16 { flush() }
    }

    func flush() {
        guard let record, !lines.isEmpty else { return }
        put(lines, on: record)
        lines = ByteString()
    }

    private func add(_ name: ByteString, to list: inout [(name: ByteString, count: Int)]) {
        // Moves the name to the front, because most answers come from the process that answered last.
        for index in 0..<list.count where list[index].name == name {
            list[index].count += 1
            if index > 0 { list.swapAt(0, index) }
            return
        }
        list.append((name, 1))
    }

    var summary: Summary {
        let sorted = latencies.sorted()
        func quantile(_ perMille: Int) -> UInt32 {
            sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, sorted.count * perMille / 1000)]
        }
        let time = max(1, now() - startedAt)
        var json = Summary()
        // It comes first, because reports of failed tests are cut.
        if let firstLoss { json.add("first_loss", firstLoss) }
        json.add("requests", requests)
        json.add(Outcome.ok.key, counts[Outcome.ok.rawValue])
        json.add("lost", lost)
        for outcome in Outcome.allCases where outcome != .ok { json.add(outcome.key, counts[outcome.rawValue]) }
        json.add("connections", connections)
        json.add("connect_retries", connectRetries)
        json.add("milliseconds", Int(time / 1000))
        json.add("per_second", Int(Int64(requests) * 1_000_000 / time))
        json.add("p50_us", Int(quantile(500)))
        json.add("p99_us", Int(quantile(990)))
        json.add("p999_us", Int(quantile(999)))
        json.add("max_us", Int(sorted.last ?? 0))
        json.add("by_label", labels)
        json.add("by_pid", pids)
        return json
    }
}

/// Builds a JSON object.
struct Summary {
    private var members = ByteString()

    var json: ByteString { "{\(members)}" }

    mutating func add(_ key: ByteString, _ value: Int) { addMember(key, ByteString(decimal: value)) }

    mutating func add(_ key: ByteString, _ value: ByteString) { addMember(key, quoted(value)) }

    mutating func add(_ key: ByteString, _ counts: [(name: ByteString, count: Int)]) {
        var object = Summary()
        for (name, count) in counts { object.add(name, count) }
        addMember(key, object.json)
    }

    private mutating func addMember(_ key: ByteString, _ value: ByteString) {
        if !members.isEmpty { members.append(", ") }
        members.append("\(quoted(key)): \(value)")
    }

    private func quoted(_ text: ByteString) -> ByteString {
        var result: ByteString = "\""
        for byte in text.bytes {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                result.append(UInt8(ascii: "\\"))
                result.append(byte)
            case 0x20..<0x7F: result.append(byte)
            default: result.append("?")
            }
        }
        result.append("\"")
        return result
    }
}
