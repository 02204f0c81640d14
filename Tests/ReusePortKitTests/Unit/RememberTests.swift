import Foundation
import Testing

@testable import ReusePortKit

/// What is recorded of a deploy, without one.
@Suite struct RememberTests {
    private func settings(_ words: [(Option.Key, ByteString)]) -> [Setting] { words.map { Setting($0.0, $0.1) } }

    @Test func replacedSettingsKeepTheirPlaces() {
        let deployment = Deployment(generation: 1, directory: "/", settings: [], command: ["x"])
        deployment.record(
            settings([
                (.socket, "https:*:443"), (.socket, "http:*:80"), (.groups, "a"), (.copies, "2"), (.suspended, ""),
            ]))
        let new = settings([
            (.copies, "3"), (.noGroups, ""), (.socket, "admin:*:8080"), (.socket, "https:*:444"),
        ])
        #expect(
            deployment.settings(with: new).map { "\($0.option.text) \($0.value)" as ByteString } == [
                "--socket https:*:444", "--socket http:*:80", "--copies 3", "--no-groups ", "--socket admin:*:8080",
            ])
    }

    @Test func deploymentIsReadAsItWasWritten() {
        let deployment = Deployment(
            generation: 7, label: "green", directory: "/srv/releases/7", settings: [], command: ["a b", ""])
        for environment in [nil, [], ["A=", "B=two\nlines %", "C", ByteString([0x44, 0x3D, 0xFF])]] as [[ByteString]?] {
            for name in [nil, "/srv/current"] as [ByteString?] {
                (deployment.environment, deployment.named) = (environment, name)
                #expect(Deployment(text: deployment.text) == deployment)
            }
        }
    }

    @Test func ofTheEnvironment() {
        let environment: [ByteString] = [
            "A=1", "PATH=/bin", "LISTEN_FDS=1", "NOTIFY_SOCKET=/x", "INVOCATION_ID=1", "TERM=x", "no-name", "=x",
        ]
        let options = LaunchOptions()
        #expect(recorded(environment, options) == ["A=1", "PATH=/bin", "no-name"])
        (options.clearsEnvironment, options.keptVariables) = (true, ["A", "Z"])
        #expect(recorded(environment, options) == ["A=1", "Z"])
        #expect(
            differences(["A=1", "B=1", "C=1", "PWD=/", "SSH_TTY=1"], ["C=1", "B=2", "D=1", "PWD=/x", "SHLVL=1"])
                == ["A", "B", "D"])
    }

    @Test func earlierBoot() throws {
        let listener = ListenerIdentity(
            name: "http", transport: .tcp, address: .ipv4(0, port: 80), isDualStack: false, cookie: 9)
        let process = ProcessIdentity(pid: 7, startTime: 8)
        let copy = CopyRecord(
            generation: 1, copy: 0, process: process, helper: process, state: .live, since: 1,
            listeners: [Listener(identity: listener, publicPath: nil)], supervisor: .runit("/s"), stopSignal: 15,
            stopTimeout: .seconds(1), nice: nil)
        copy.group = CopyGroup(group: ControlGroup(version: .second, path: "/a"), max: 1, appMax: nil)
        let now = copy.text.text
        #expect(CopyRecord(text: copy.text)?.text == copy.text)
        // Earlier versions did not write it.
        let boot = "boot=\(currentBoot.text)\n"
        #expect(!currentBoot.isEmpty && now.contains(boot))
        #expect(CopyRecord(text: ByteString(now.replacingOccurrences(of: boot, with: ""))) == copy)
        let old = try #require(
            CopyRecord(text: ByteString(now.replacingOccurrences(of: boot, with: "boot=another\n"))))
        #expect(old.state == .ended && old.process.pid == copy.process.pid && old.process != copy.process)
        #expect(old.listeners.allSatisfy { $0.identity.cookie == 0 } && old.listeners.count == copy.listeners.count)
        #expect(old.group == nil && old.supervisor == nil && old.channel == nil && old.helper == nil)
        #expect(CopyRecord(text: old.text) == old)
    }
}
