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

    /// What a deploy that was killed has left leaves the groups in an order that nobody expects; who took its place is
    /// retired while it ignores its stop signal.
    ///
    /// At level 2 the members' places follow from that order. Had they been mistaken, one that is told to stop would be
    /// given all connections until its KILL.
    @Test(arguments: Level.allCases) func deafAfterKilled(level: Level) throws {
        let stage = try Stage(level)
        let ignores: [ByteString] = ["SAMPLE_IGNORE_TERM=1"]
        try stage.deploy("1")
        let stuck = try stage.startDeploy("killed", copies: 2, variables: ignores + ["SAMPLE_BOOT_MS=600000"])
        try stuck.waitFor("copy 1 is starting")
        stuck.signal(SIGKILL)
        _ = try stuck.end()
        let left = try stage.copies().filter { $0.label == "killed" }.sorted { $0.copy < $1.copy }.map(\.pid)
        #expect(left.count == 2)

        let deaf = try stage.startDeploy("deaf", copies: 2, ["--stop-timeout", "500ms"], variables: ignores)
        // They would be killed, both at once, after 2 seconds. The one whose place comes first goes first.
        try deaf.waitFor("generation killed, which failed, is ended")
        let listeners = try stage.listenerCount()
        kill(left[0], SIGKILL)
        try waitUntil("its listener to be closed") { try stage.listenerCount() < listeners }
        kill(left[1], SIGKILL)
        let outcome = try deaf.end()
        #expect(outcome.exit == 0, "\(outcome.errors)")

        let load = try Load(stage, path: "/slow?ms=20")
        try stage.deploy("2")
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        try stage.expectOnly(try stage.pids())
    }
}

extension Stage {
    /// How many listen at the app's address.
    fileprivate func listenerCount() throws -> Int {
        try internetSockets(.tcp, states: .listening, localPort: port).count
    }
}
