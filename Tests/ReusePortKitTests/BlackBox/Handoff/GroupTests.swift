import Foundation
import Testing

@testable import ReusePortKit

/// Each copy has a control group, also without limits, so that all that it starts is known; nothing of it is left behind.
@Suite struct GroupTests {
    @Test func copiesAndWhatTheyStart() throws {
        let stage = try Stage(.privileged)
        let groups = try MemoryGroups(stage, limits: false)
        let shell: [ByteString] =
            ["/bin/sh", "-c", "sleep 600 & exec \"$0\" sample"] + [try stage.sampleServer("1")[0]]
        try stage.deploy("1", copies: 2, command: shell)
        let pids = try stage.pids()
        // Named by generation and copy, and by the command that has made them.
        #expect(groups.copies.map { $0.split(separator: ".").dropLast() } == [["1", "0"], ["1", "1"]])
        for (pid, group) in zip(pids, groups.copies) {
            let members = groups.processes(group)
            #expect(members.count == 2 && members.contains(pid), "\(members)")
        }
        // A launcher joins its own group, and its helper stays out of it.
        let second = try stage.handOver("2")
        try waitUntil("its helper has gone") { try stage.helper(of: second[0].pid) == nil }
        #expect(groups.copies.filter { $0.hasPrefix("2.") }.map { groups.processes($0) } == [[second[0].pid]])
        for group in groups.copies where group.hasPrefix("1.") {
            for pid in groups.processes(group) { kill(pid, SIGKILL) }
        }
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        #expect(groups.areGone)
    }

    /// What is left when the registry is lost is known by its groups: the old generation serves until the next one has
    /// taken over, and then it is ended, with what a killed deploy has left.
    @Test(arguments: ["ebpf", "cbpf"]) func registryLost(steering: ByteString) throws {
        let stage = try Stage(.privileged)
        let options: [ByteString] = ["--steering", steering]
        try stage.deploy("1", copies: 2, options)
        let stuck = try stage.startDeploy("2", copies: 1, options, variables: ["SAMPLE_BOOT_MS=600000"])
        try waitUntil("its copy") { try stage.generation("2")?.running.count == 1 }
        stuck.kill()
        let load = try Load(stage, connections: 8)
        try FileManager.default.removeItem(atPath: "\(stage.runDirectory.text)/web")
        try stage.deploy("3", copies: 1, options)
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(stage.marked().map(\.pid) == (try stage.pids()))
        #expect(try stage.ask().contains("label: 3"))
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
    }

    /// Where no group can be made, as in most containers, everything else goes on as before.
    @Test func withoutGroups() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1")
        try stage.deploy("2")
        #expect(try stage.live().count == 1)
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
    }
}
