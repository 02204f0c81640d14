import CLinux
import Testing

@testable import ReusePortKit

/// Without sock_diag(7) nothing can be known of listeners: that is said before anything is started or ended.
@Suite struct UnlistedSocketsTests {
    static let denials: [(reason: Errno, remedy: String)] = [
        (.familyNotSupported, "address family not supported by protocol; allow AF_NETLINK, as in"),
        (.noEntry, "no such file or directory; run modprobe -a tcp_diag udp_diag unix_diag, on the host"),
    ]

    @Test(arguments: Level.allCases, UnlistedSocketsTests.denials) func nothingIsStarted(
        level: Level, denial: (reason: Errno, remedy: String)
    ) throws {
        let stage = try Stage(level)
        let deny = Step.deny(AF_NETLINK, denial.reason)
        func expectRefusal(_ outcome: Outcome, _ what: String, _ location: SourceLocation = #_sourceLocation) {
            let line = "reuseport-exec: fatal: unable to list \(what): \(denial.remedy)"
            #expect(outcome.errors.hasPrefix(line), "\(outcome.errors)", sourceLocation: location)
            #expect(
                outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)", sourceLocation: location)
        }
        let code = Failure.Code.system.rawValue
        expectRefusal(try stage.deploy("1", steps: [deny], expect: code), "listening sockets")
        try stage.expectOnly([])
        try stage.deploy("1")
        let pids = try stage.pids()
        expectRefusal(try stage.deploy("2", steps: [deny], expect: code), "listening sockets")
        let launcher = try stage.box.run(
            ["--app", "web", "--run-dir", stage.runDirectory] + stage.common + ["--"] + stage.sampleServer("2"),
            [deny] + stage.asDeployer)
        expectRefusal(launcher, "listening sockets")
        expectRefusal(try stage.change(["scale", "web", "2"], expect: code, [deny]), "listening sockets")
        for verb in ["terminate", "retire", "restart"] as [ByteString] {
            expectRefusal(try stage.change([verb, "web"], expect: code, [deny]), "listening sockets")
        }
        // What is not known is not said: neither that copies listen, nor that they do not.
        for verb in ["count", "check"] as [ByteString] {
            expectRefusal(try stage.change([verb, "web"], expect: code, [deny]), "listening sockets")
        }
        let state = try stage.change(["state", "web"], [deny]).output.text
        #expect(state.contains("?/1 copy serves") && state.contains("queue unknown"), "\(state)")
        #expect(!state.contains("not listening") && !state.contains("connection"), "\(state)")
        let json = try stage.change(["state", "web", "--json"], [deny]).output.text
        #expect(json.contains("\"listening\":null") && json.contains("\"connections\":null"), "\(json)")
        #expect(try stage.change(["list"], [deny]).output.text.contains("?/1"))
        #expect(try stage.change(["list", "--json"], [deny]).output.text.contains("\"running\":null"))
        try stage.expectOnly(pids)
        #expect(try stage.generations().map(\.state) == ["live"])
        #expect(try stage.ask().contains("label: 1"))
    }
}
