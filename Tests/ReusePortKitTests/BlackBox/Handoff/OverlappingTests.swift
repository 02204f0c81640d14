import Foundation
import Testing

@testable import ReusePortKit

/// A generation takes over while the one before it is still being rid of its own predecessor.
///
/// Old copies here do not close their listeners, and are killed a while later: at any moment of the next handoff. At
/// level 2 others then change their places.
@Suite struct OverlappingTests {
    @Test(arguments: Level.allCases) func nothingIsLost(level: Level) throws {
        let stage = try Stage(level)
        func handOver(_ number: Int) throws -> Running {
            // Not all after the same time.
            let patience: ByteString = "\(ByteString(decimal: 150 + 130 * (number % 4)))ms"
            return try stage.handOver(
                "\(number)", ["--stop-timeout", patience], variables: ["SAMPLE_KEEP_LISTENING=1"])[0]
        }
        var all = [try handOver(1)]
        let load = try Load(stage)
        for number in 2...12 { all.append(try handOver(number)) }
        for process in all.dropLast() { _ = try process.end() }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(try stage.verb("count", ["web"]).output.text == "1\n")
    }

    /// Copies of the live generation go while a new generation comes.
    @Test(arguments: Level.allCases) func scaledMeanwhile(level: Level) throws {
        let stage = try Stage(level)
        var live = try stage.handOver("1", copies: 4)
        let load = try Load(stage)
        for number in 2...6 {
            let scale = try stage.box.start(["scale", "web", "1", "--run-dir", stage.runDirectory], stage.asDeployer)
            let next = try stage.handOver("\(number)", copies: 4)
            // It may have come too late.
            _ = try scale.end()
            for process in live { _ = try process.end() }
            live = next
        }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
    }
}
