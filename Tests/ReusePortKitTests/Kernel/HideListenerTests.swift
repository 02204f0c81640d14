import CLinux
import Testing

@testable import ReusePortKit

/// Listeners that are about to close are hidden from new connections. `make bench-closing` shows that they lose
/// some otherwise.
@Suite struct HideListenerTests {
    @Test(arguments: [TestHost.loopback, .v6], [true, false])
    func noConnectionComes(host: TestHost, isPrivileged: Bool) throws {
        @Sendable func refusal() throws -> Errno? {
            let one = try members("one", on: host)[0]
            try hide(one.descriptor)
            do {
                _ = try clients(1, to: one.port, from: host)
                return nil
            } catch let error as Errno {
                return error
            }
        }
        let seen = try isPrivileged ? SteerThread.run(refusal) : SteerThread.unprivileged(refusal)
        #expect(seen == .connectionRefused)
    }

    /// What has come before is accepted, and the places of the group stay as they are.
    @Test(arguments: [TestHost.loopback, .v6]) func itStaysInItsGroup(host: TestHost) throws {
        let old = try members("old", on: host)
        let port = try old[0].port
        let waiting = try clients(3, to: port, from: host)
        let new = try members("new", on: host, port: port)
        try #require(IndexProgram(places: [1], balance: .random)).attach(to: new[0].descriptor)
        try hide(old[0].descriptor)
        let held = try clients(20, to: port, from: host)
        #expect(try arrivals(waiting.count + held.count, at: old + new) == ["old": 3, "new": 20])
    }

    /// A new listener does not find a group in which all are hidden.
    @Test func newOnesFoundAGroup() throws {
        let old = try InspectedSocket(.tcp, ipv4Loopback, shares: true, backlog: 16)
        let identity = ListenerIdentity(
            name: "http", transport: .tcp, address: old.address, isDualStack: false, cookie: old.cookie)
        var groups = ByIndex()
        func follow() throws -> [UInt64] {
            try groups.follow([Listener(identity: identity)])
            return groups.orders[0].cookies
        }
        #expect(try follow() == [old.cookie])
        let second = try InspectedSocket(.tcp, old.address, shares: true, backlog: 16)
        #expect(try follow() == [old.cookie, second.cookie])
        try bindNowhere(old.number)
        #expect(try follow() == [old.cookie, second.cookie])
        try bindNowhere(second.number)
        let third = try InspectedSocket(.tcp, old.address, shares: true, backlog: 16)
        #expect(try follow() == [third.cookie])
        let fourth = try InspectedSocket(.tcp, old.address, shares: true, backlog: 16)
        #expect(try follow() == [third.cookie, fourth.cookie])
        #expect(try openListeners([identity]).map { $0.isHidden } == [true])
        _ = (old.number, second.number, third.number, fourth.number)
    }

    private func bindNowhere(_ number: Int32) throws {
        var interface = Int32(noInterface)
        try checked(setsockopt(number, SOL_SOCKET, CLINUX_SO_BINDTOIFINDEX, &interface, 4))
    }

    // MARK: - In a handoff

    /// The old one keeps its listener although it was told to stop, so there is time to look.
    @Test(arguments: Level.allCases, [Site.v4, .dualStack])
    func theOldOneIsHidden(level: Level, site: Site) throws {
        let stage = try Stage(level, site)
        func hidden() throws -> Int {
            try internetSockets(.tcp, states: .listening, localPort: stage.port).count { $0.isHidden }
        }
        let stays: [ByteString] = ["--stop-timeout", "3s"]
        try stage.deploy("1", stays, variables: ["SAMPLE_KEEP_LISTENING=1"])
        let deploy = try stage.startDeploy("2", stays)
        // With ebpf the kernel moves what comes to a listener that closes.
        if level == .ordinary { #expect(try eventually { try hidden() == 1 }) }
        try waitUntil("2 is live") { try stage.generation("2")?.state == "live" }
        #expect(try Load(stage, connections: 4).stop().labels == ["2"])
        try deploy.endWell()
        #expect(try hidden() == 0)
        // What serves stays as it is when a deploy fails, whose listeners are hidden before they close.
        try stage.deploy("3", variables: ["SAMPLE_CRASH=boot"], expect: 1)
        #expect(try hidden() == 0)
        #expect(try Load(stage, connections: 4).stop().labels == ["2"])
    }
}
