import Foundation
import Testing

@testable import ReusePortKit

/// What became of the requests of a load.
struct Report {
    private(set) var requests = 0
    private(set) var lost = 0
    private(set) var idleRaces = 0
    /// In seconds, of those that were answered.
    private(set) var longest = 0.0
    /// Answers by the generation that gave them.
    private(set) var byLabel: [String: Int] = [:]
    private(set) var byPID: [String: Int] = [:]
    private(set) var summary: [String] = []

    var labels: Set<String> { Set(byLabel.keys) }

    private struct Summary: Decodable {
        let requests: Int
        let lost: Int
        let idle_races: Int
        let max_us: Int
        let by_label: [String: Int]
        let by_pid: [String: Int]
    }

    mutating func add(_ output: ByteString) throws {
        let one = try JSONDecoder().decode(Summary.self, from: Data(output.bytes))
        requests += one.requests
        lost += one.lost
        idleRaces += one.idle_races
        longest = max(longest, Double(one.max_us) / 1_000_000)
        byLabel.merge(one.by_label, uniquingKeysWith: +)
        byPID.merge(one.by_pid, uniquingKeysWith: +)
        summary.append(output.text)
    }
}

/// Clients that ask again as soon as they have their answer: as many connections as a test needs, and no more.
final class Load {
    static let connections = 64
    private var processes: [(running: Running, record: String)] = []

    /// Starts, and waits until the first answers are there.
    init(
        _ stage: Stage, requestsPerConnection: Int = 1, connections: Int = Load.connections, path: ByteString = "/brief"
    ) throws {
        let program = try stage.program("load-generator").text
        for address in stage.addresses {
            let record = stage.box["record-\(stage.nextNumber())"]
            let running = try stage.box.start(
                program: program,
                [
                    "--connections", ByteString(decimal: connections / stage.addresses.count),
                    "--requests-per-connection", ByteString(decimal: requestsPerConnection), "--path", path,
                    "--record", ByteString(record), "--timeout", "20s", "--duration", "300s", address,
                ], stage.inNetwork)
            processes.append((running, record))
        }
        for index in processes.indices { try waitUntil("the first answers") { try has(index, "ok") } }
    }

    /// How much is written of what became of requests.
    var recorded: Int {
        processes.reduce(0) { sum, process in
            var status = stat()
            return stat(process.record, &status) == 0 ? sum + Int(status.st_size) : sum
        }
    }

    /// What is written of what became of requests, a line each.
    var lines: [Substring] {
        processes.flatMap { process in
            let record = FileManager.default.contents(atPath: process.record) ?? Data()
            return String(decoding: record, as: UTF8.self).split(separator: "\n")
        }
    }

    /// Whether some request of the load has had this outcome.
    func has(_ outcome: String) throws -> Bool { try processes.indices.contains { try has($0, outcome) } }

    private func has(_ index: Int, _ outcome: String) throws -> Bool {
        if state(of: processes[index].running.pid) == "Z" {
            throw Unavailable(description: "the load ended: \(try processes[index].running.end())")
        }
        guard let record = FileManager.default.contents(atPath: processes[index].record) else { return false }
        return record.range(of: Data(" \(outcome) ".utf8)) != nil
    }

    /// Lets the clients finish what they are at, and says what became of all of it.
    func stop() throws -> Report {
        var report = Report()
        for process in processes { process.running.signal(SIGTERM) }
        for process in processes { try report.add(try process.running.end().output) }
        return report
    }
}

extension Stage {
    /// Clients that connect once, and of which each waits for its answer.
    ///
    /// They keep to one processor: where another one ends the handshake at the very moment in which a request comes, a
    /// kernel before Linux 6.19 may find neither the handshake nor the connection, and resets it. That has nothing to do
    /// with what is tested, and happens to one of 20,000 that connect together.
    func startClients(_ count: Int) throws -> Running {
        let number = ByteString(decimal: count)
        return try box.start(
            program: "/usr/bin/taskset",
            [
                "-c", try firstProcessor(), try program("load-generator"), "--connections", number,
                "--requests", number, "--requests-per-connection", "1", "--timeout", "39s", addresses[0],
            ], [.descriptorLimit(8192)] + inNetwork)
    }

    private func firstProcessor() throws -> ByteString {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") }
        return ByteString(String(line?.split(separator: "\t").last?.prefix { $0.isNumber } ?? "0"))
    }
}
