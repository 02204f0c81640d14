import Foundation
import Testing

@testable import ReusePortKit

/// New generations take over one after the other under load, and nobody loses a connection.
///
/// Each kind has its control beside it: the same programs, clients and machine without help lose some.
@Suite struct LossTests {
    static let handoffs = 10

    // MARK: - The bundled server

    @Test(arguments: Level.allCases, Site.allCases)
    func sampleServer(level: Level, site: Site) throws {
        let stage = try Stage(level, site)
        try expectNoLoss(stage) { try stage.sampleServer($0) }
    }

    @Test(arguments: Site.allCases)
    func sampleServerWithoutHelpLoses(site: Site) throws {
        let stage = try Stage(.ordinary, site)
        try expectLoss(stage) { try stage.sampleServer($0) }
    }

    // MARK: - Node

    @Test(arguments: Level.allCases)
    func node(level: Level) throws {
        let stage = try Stage(level)
        try expectNoLoss(stage) { try stage.node($0) }
    }

    @Test func nodeWithoutHelpLoses() throws {
        let stage = try Stage(.ordinary)
        try expectLoss(stage) { try stage.node($0) }
    }

    // MARK: - Several copies

    @Test(arguments: Level.allCases)
    func changingNumberOfCopies(level: Level) throws {
        let stage = try Stage(level)
        try expectNoLoss(stage, copies: [1, 4, 2]) { try stage.sampleServer($0) }
    }

    // MARK: - How it is judged

    /// Hands over `handoffs` times. Every generation must have served, and every old one must have ended well.
    private func expectNoLoss(
        _ stage: Stage, copies: [Int] = [1], command: (String) throws -> [ByteString]
    ) throws {
        var live = try stage.handOver("1", copies: copies[0], command: try command("1"))
        let load = try Load(stage)
        for number in 2...LossTests.handoffs + 1 {
            let count = copies[(number - 1) % copies.count]
            let next = try stage.handOver("\(number)", copies: count, command: try command("\(number)"))
            for process in live {
                let outcome = try process.end()
                #expect(outcome.exit == 0, "generation \(number - 1): \(outcome.status) \(outcome.errors)")
            }
            live = next
        }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.labels == Set((1...LossTests.handoffs + 1).map { "\($0)" }))
    }

    private func expectLoss(_ stage: Stage, command: (String) throws -> [ByteString]) throws {
        var live = try stage.startPlain("plain", command: try command("plain"))
        var report = Report()
        for _ in 0..<8 {
            let load = try Load(stage)
            live = try stage.replacePlain(live, times: LossTests.handoffs / 2, command: command)
            report = try load.stop()
            if report.lost > 0 { return }
        }
        Issue.record("without help nothing was lost either: \(report.summary)")
    }
}
