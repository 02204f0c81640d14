import Foundation
import Testing

@testable import ReusePortKit

/// A program that takes long to start gets no client before it serves.
@Suite struct SlowStartTests {
    /// In seconds. What is measured is compared with it, and with nothing else: the machine may be busy.
    private static let boot = 6.0
    private static let variables: [ByteString] = ["SAMPLE_BOOT_MS=6000"]

    @Test(arguments: Level.allCases)
    func nobodyWaits(level: Level) throws {
        let stage = try Stage(level)
        let old = try stage.handOver("1")
        let load = try Load(stage)
        _ = try stage.handOver("2", variables: SlowStartTests.variables)
        #expect(try old[0].end().exit == 0)
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.labels == ["1", "2"])
        #expect(report.longest < SlowStartTests.boot / 2, "\(report.summary)")
    }

    /// The new server's listener shares the address from the beginning. That the kernel could save what is queued on
    /// the old one does not help those who wait for the new one.
    @Test(arguments: [nil, ["net/ipv4/tcp_migrate_req=1"]] as [[String]?])
    func withoutHelpSomeWait(settings: [String]?) throws {
        let stage = try Stage(.ordinary, settings: settings)
        let old = try stage.startPlain("1")
        let load = try Load(stage)
        _ = try stage.replacePlain(old, times: 1, variables: SlowStartTests.variables) { try stage.sampleServer($0) }
        let report = try load.stop()
        #expect(report.longest > SlowStartTests.boot / 2, "\(report.summary)")
    }
}
