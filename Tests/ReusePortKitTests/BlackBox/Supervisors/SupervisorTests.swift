import Foundation
import Testing

@testable import ReusePortKit

/// Services of real supervisors: starting the new one is the whole deployment.
@Suite struct SupervisorTests {
    @Test(arguments: Level.allCases, SupervisorKind.allCases)
    func handover(level: Level, kind: SupervisorKind) throws {
        let stage = try Stage(level)
        let services = try Services(stage, kind) { folder in
            for name in ["blue", "green"] { try writeByHand(name, stage, kind, "\(folder)/\(name)") }
        }
        func expectStart(_ name: String, _ location: SourceLocation = #_sourceLocation) throws {
            let outcome = try services.start(name)
            #expect(outcome.exit == 0, "\(outcome.output.text)\(outcome.errors)", sourceLocation: location)
            // It says so when it is so, and not earlier.
            #expect(
                try stage.verb("check", ["web", "--generation", ByteString(name)]).exit == 0,
                sourceLocation: location)
        }
        let state = services.state
        try waitUntil("the services are supervised") { try state("green") != nil && state("blue") != nil }
        #expect(try stage.verb("check", ["web", "--generation", "blue"]).exit == 1)
        try expectStart("blue")

        let load = try Load(stage)
        for (new, old) in [("green", "blue"), ("blue", "green"), ("green", "blue")] {
            try expectStart(new)
            // The supervisor has been told not to start it again.
            try waitUntil("\(old) is down for good") { try state(old) == ServiceState(pid: nil, isWanted: false) }
        }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.labels == ["blue", "green"])

        // A crash is the supervisor's business, and the same generation's copy comes back into its place.
        let before = try #require(try state("green")?.pid)
        kill(before, SIGKILL)
        var after: pid_t?
        try waitUntil("green is back") {
            after = try state("green")?.pid
            guard let after, after != before else { return false }
            return try stage.verb("check", ["web", "--generation", "green"]).exit == 0
        }
        #expect(try stage.verb("wait", ["web", "--pid", ByteString(decimal: after!), "--timeout", "35s"]).exit == 0)
        let last = try Load(stage).stop()
        #expect(last.lost == 0, "\(last.summary)")
        #expect(last.byPID.keys.sorted() == ["\(after!)"])
        #expect(try stage.verb("count", ["web"]).output.text == "1\n")
        #expect(try state("blue") == ServiceState(pid: nil, isWanted: false))
    }
}
