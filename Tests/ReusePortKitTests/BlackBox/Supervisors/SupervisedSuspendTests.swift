import Foundation
import Testing

@testable import ReusePortKit

extension SuspendTests {
    /// Each helper makes room for its own copy before they take over, so that also counts where deploy was killed.
    @Test(arguments: Level.allCases, SupervisorKind.allCases)
    func supervisedConnectionsWait(level: Level, kind: SupervisorKind) throws {
        let stage = try Stage(level)
        let services = try Services(stage, kind)
        try stage.deploy("1", copies: 2, services.deployOptions, command: try stage.node("1"))
        let old = try stage.pids()
        if level == .privileged {
            let outcome = try stage.change(["suspend", "web"])
            let limits = try stage.live().flatMap(\.sockets).compactMap(\.accept_limit)
            #expect(
                outcome.errors.contains("up to \(limits.reduce(0, +)) connections can wait"), "\(outcome.errors)")
        } else {
            let deploy = try stage.startDeploy(
                "2", copies: 2, services.deployOptions + ["--suspended"], command: try stage.node("2"))
            try waitUntil("its copies are there") { try stage.generation("2")?.running.count == 2 }
            deploy.kill()
            try waitUntil("they have taken over") { try stage.generation("2")?.state == "live" }
            // While those end one by one, a connection may still come to one of them, which serves it.
            try waitUntil("the old ones have gone") { try stage.generation("1")?.running.isEmpty ?? true }
        }
        let limits = try stage.live().flatMap(\.sockets).compactMap(\.accept_limit)
        #expect(limits.count == 2 && limits.allSatisfy { $0 > 511 }, "\(limits)")
        let new = try stage.pids()
        #expect(new.count == 2 && Set(new).isDisjoint(with: old) && new.allSatisfy(isStopped))
        let clients = try stage.startClients(SuspendTests.waiting)
        try waitUntilQueued(stage, SuspendTests.waiting)
        try stage.change(["resume", "web"])
        try expectAllServed(clients)
        #expect(try stage.pids() == new)
    }
}

extension SupervisedDeployTests {
    @Test(arguments: SupervisorKind.allCases)
    func scalingWithoutRights(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind, .ordinary)
        try stage.deploy("1", copies: 4, services.deployOptions)
        let first = try stage.pids()
        let load = try Load(stage)
        for count in [8, 2] {
            try stage.change(["scale", "web", ByteString(decimal: count)])
            #expect(try stage.live().map(\.copy) == Array(0..<count))
            #expect(try Array(stage.pids().prefix(2)) == Array(first.prefix(2)))
            try expectServices(services, (0..<count).map { "web-1-\($0)" })
        }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.byPID.count == 8, "\(report.byPID)")
    }

    /// What watches one of the services ends in the middle of a deploy, and is started again.
    @Test(arguments: SupervisorKind.allCases)
    func watcherKilled(kind: SupervisorKind) throws {
        let (stage, services) = try supervised(kind)
        try stage.deploy("1", copies: 2, services.deployOptions)
        let old = try stage.pids()
        let load = try Load(stage)
        let deploy = try stage.startDeploy("2", copies: 2, services.deployOptions + ["--env", "SAMPLE_BOOT_MS=1500"])
        var copies: [CopyState] = []
        try waitUntil("its copies are there") {
            copies = try stage.generation("2")?.running ?? []
            return copies.count == 2
        }
        kill(try #require(try? ProcessStatus(of: copies[0].pid).parent), SIGKILL)
        let outcome = try deploy.end()
        // Whichever way it ends, somebody serves and it is said who.
        if outcome.exit == 0 {
            #expect(try stage.generation("2")?.state == "live")
        } else {
            #expect(outcome.exit == 1, "\(outcome.errors)")
            #expect(try stage.pids() == old, "\(outcome.errors)")
        }
        try stage.deploy("3", copies: 2, services.deployOptions)
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(try stage.generation("3")?.state == "live")
    }
}
