import Foundation
import Testing

@testable import ReusePortKit

/// Clients that keep their connections for ten requests.
@Suite struct KeepAliveTests {
    private static let requests = 10
    private static let handoffs = 10

    /// A server that closes a connection can always cross with the next request on it; clients then ask again, and
    /// nothing is lost. A handoff must not make more of that than telling the same program to stop does anyway.
    @Test(arguments: Level.allCases)
    func noMoreRacesThanAnyStop(level: Level) throws {
        var ours: [Double] = []
        var plain: [Double] = []
        // Chance decides which connections are idle at that moment, so one round proves nothing.
        for _ in 0..<6 {
            ours.append(Double(try racesOfHandoffs(level)))
            plain.append(Double(try racesOfStops()))
            if mean(ours) <= mean(plain) { return }
        }
        // Three standard errors of the difference.
        let chance = 3 * ((variance(ours) + variance(plain)) / Double(ours.count)).squareRoot()
        #expect(mean(ours) - mean(plain) <= chance, "races: \(ours) in handoffs, \(plain) in as many stops")
    }

    private func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }

    private func variance(_ values: [Double]) -> Double {
        let mean = mean(values)
        return values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count - 1)
    }

    private func racesOfHandoffs(_ level: Level) throws -> Int {
        let stage = try Stage(level)
        var live = try stage.handOver("1")
        let load = try Load(stage, requestsPerConnection: KeepAliveTests.requests)
        for number in 2...KeepAliveTests.handoffs + 1 {
            let next = try stage.handOver("\(number)")
            #expect(try live[0].end().exit == 0)
            live = next
        }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.labels == Set((1...KeepAliveTests.handoffs + 1).map { "\($0)" }))
        return report.idleRaces
    }

    private func racesOfStops() throws -> Int {
        let stage = try Stage(.ordinary)
        var live = try stage.startPlain("plain")
        let load = try Load(stage, requestsPerConnection: KeepAliveTests.requests)
        for number in 1...KeepAliveTests.handoffs {
            // All clients are its own when it is told.
            live.signal(SIGTERM)
            _ = try live.end()
            live = try stage.startPlain("\(number)")
            let before = load.recorded
            try waitUntil("clients are served again") { load.recorded > before + 20_000 }
        }
        return try load.stop().idleRaces
    }
}
