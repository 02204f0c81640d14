import Foundation
import Testing

@testable import ReusePortKit

/// Copies with limits, in real control groups: what goes beyond is ended by the kernel, and nobody else loses anything.
@Suite struct MemoryTests {
    private static let limit: [ByteString] = ["--memory-max", "32M"]
    private static let beyond = "killed by the kernel: it went beyond --memory-max 32M"

    @Test func copyBeyondItsLimit() throws {
        let stage = try Stage(.privileged)
        let groups = try MemoryGroups(stage)
        let copies = try stage.handOver("1", copies: 2, MemoryTests.limit)
        #expect(groups.copies == copies.map { "1.\($0 === copies[0] ? 0 : 1).\($0.pid)" })
        for copy in copies { #expect(groups.copies.filter { groups.processes($0) == [copy.pid] }.count == 1) }
        let load = try Load(stage)
        let pid = try stage.grow(64)
        let dead = try #require(copies.first { $0.pid == pid })
        let sibling = try #require(copies.first { $0.pid != pid })
        #expect(try dead.end().status & 0x7F == SIGKILL)
        let before = load.recorded
        try waitUntil("the others go on") { load.recorded > before + 10_000 }
        #expect(try stage.reason(of: pid) == MemoryTests.beyond)
        #expect(try stage.reason(of: sibling.pid) == "")
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.byPID.keys.contains("\(sibling.pid)"))

        // It comes back into its place, and the launcher says what became of the one before.
        let copy = dead === copies[0] ? 0 : 1
        let again = try stage.start("1", copies: 2, copy: copy, MemoryTests.limit)
        #expect(try stage.wait(["--pid", ByteString(decimal: again.pid)]).exit == 0)
        try again.waitFor("copy \(copy) was pid \(pid), which has ended: \(MemoryTests.beyond)")
        #expect(!groups.copies.contains("1.\(copy).\(pid)"), "it stayed behind")
        #expect(groups.copies.count == 2)
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        #expect(groups.areGone)
    }

    /// What is within its limit is left alone: the same load, memory and machine.
    @Test func copyWithinItsLimit() throws {
        let stage = try Stage(.privileged)
        let groups = try MemoryGroups(stage)
        let copies = try stage.handOver("1", ["--memory-max", "512M", "--memory-high", "256M"])
        let load = try Load(stage)
        #expect(try stage.grow(64) == copies[0].pid)
        try waitUntil("it has the memory") { groups.usage(of: groups.copies[0]) > 64 << 20 }
        let before = load.recorded
        try waitUntil("it goes on") { load.recorded > before + 10_000 }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.byPID.keys.sorted() == ["\(copies[0].pid)"])
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        #expect(groups.areGone)
    }

    @Test func newOneBeyondItsLimit() throws {
        let stage = try Stage(.privileged)
        let groups = try MemoryGroups(stage)
        let old = try stage.handOver("1", MemoryTests.limit)
        let python = ByteString(try Tool.require("python3"))
        let new = try stage.start("2", MemoryTests.limit, command: [python, "-S", "-E", "-c", "bytearray(64 << 20)"])
        let outcome = try stage.wait(["--pid", ByteString(decimal: new.pid)])
        #expect(outcome.exit == 1)
        #expect(outcome.errors.contains(MemoryTests.beyond), "\(outcome.errors)")
        try new.waitFor("nothing was switched")
        #expect(try stage.reason(of: new.pid) == MemoryTests.beyond)
        #expect(try stage.verb("check", ["web", "--generation", "1"]).exit == 0)
        #expect(groups.copies == ["1.0.\(old[0].pid)"])
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        #expect(groups.areGone)
    }

    /// The retired copy has a tenth of what the live one has, and goes first all the same.
    @Test func retiredOneGoesFirst() throws {
        let stage = try Stage(.privileged)
        let groups = try MemoryGroups(stage)
        let limit: [ByteString] = ["--app-memory-max", "96M"]
        let old = try stage.handOver("1", limit)
        #expect(try stage.grow(8) == old[0].pid)
        let client = try stage.slowRequest(milliseconds: 600_000)
        let new = try stage.handOver("2", limit)
        try waitUntil("the helper has gone") { try stage.helper(of: new[0].pid) == nil }
        #expect(groups.copies == ["1.0.\(old[0].pid)", "2.0.\(new[0].pid)"])
        #expect(kill(old[0].pid, 0) == 0 && state(of: old[0].pid) != "Z")

        let load = try Load(stage)
        #expect(try stage.grow(80) == new[0].pid)
        // Little by little: while the kernel takes back what the first had, it may kill who wants much more.
        for _ in 0..<20 where kill(old[0].pid, 0) == 0 && state(of: old[0].pid) != "Z" {
            #expect(try stage.grow(1) == new[0].pid)
        }
        #expect(try old[0].end().status & 0x7F == SIGKILL)
        #expect(
            try stage.reason(of: old[0].pid)
                == "killed by the kernel: all copies went beyond --app-memory-max 96M")
        let before = load.recorded
        try waitUntil("the live one goes on") { load.recorded > before + 10_000 }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.byPID.keys.sorted() == ["\(new[0].pid)"])
        client.kill()
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        #expect(groups.areGone)
    }

    /// As `deploy --on` writes it, with a finish script: that says why, and counts it as a crash.
    @Test(arguments: SupervisorKind.allCases)
    func respawnedBySupervisor(kind: SupervisorKind) throws {
        let stage = try Stage(.privileged)
        let groups = try MemoryGroups(stage)
        let services = try Services(stage, kind)
        try stage.deploy("blue", services.deployOptions + MemoryTests.limit)
        let first = try #require(try services.state("web-blue-0")?.pid)
        #expect(groups.copies == ["blue.0.\(first)"])
        #expect(try stage.grow(64) == first)
        try waitUntil("it is known why") { try stage.reason(of: first) == MemoryTests.beyond }
        var second: pid_t?
        try waitUntil("it is back") {
            second = try services.state("web-blue-0")?.pid
            guard let second, second != first else { return false }
            return try stage.verb("check", ["web", "--generation", "blue"]).exit == 0
        }
        let pid = try #require(second)
        #expect(try stage.verb("wait", ["web", "--pid", ByteString(decimal: pid), "--timeout", "35s"]).exit == 0)
        #expect(groups.copies == ["blue.0.\(pid)"])
        #expect(try stage.ask("/brief").contains("pid: \(pid)\n"))
        let log = try String(contentsOfFile: "\(stage.home)/logs/blue-0/current", encoding: .utf8)
        #expect(log.contains(MemoryTests.beyond), "\(log)")
        let end = try stage.verb("terminate", ["web"])
        #expect(end.exit == 0, "\(end.errors)")
        try waitUntil("they are gone") { groups.areGone }
    }

    /// One of two: the other serves meanwhile.
    @Test(arguments: SupervisorKind.allCases)
    func respawnedBesideAnother(kind: SupervisorKind) throws {
        let stage = try Stage(.privileged)
        let services = try Services(stage, kind)
        let groups = try MemoryGroups(stage)
        try stage.deploy("1", copies: 2, services.deployOptions + MemoryTests.limit)
        let before = try stage.pids()
        let load = try Load(stage)
        let dead = try stage.grow(64)
        try waitUntil("it is back") {
            let now = try stage.live()
            return now.map(\.state) == ["live", "live"] && !now.contains { $0.pid == dead }
        }
        let after = try stage.pids()
        #expect(Set(after).intersection(before).count == 1)
        let recorded = load.recorded
        try waitUntil("both serve") { load.recorded > recorded + 10_000 }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(after.allSatisfy { report.byPID.keys.contains("\($0)") }, "\(report.byPID)")
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        try waitUntil("they are gone") { groups.areGone }
    }

    /// Without a finish script: what is started in its place says what became of it.
    @Test func respawnedByHand() throws {
        let stage = try Stage(.privileged)
        let groups = try MemoryGroups(stage)
        var words: [ByteString] = [ByteString(try stage.box.launcher()), "--app", "web", "--generation", "blue"]
        words += ["--run-dir", stage.runDirectory] + stage.common + MemoryTests.limit
        words += try ["--"] + stage.sampleServer("blue")
        let services = try Services(stage, .runit) { folder in
            mkdir("\(folder)/blue", 0o755)
            let text = "#!/bin/sh\nexec >>\(stage.box["log"]) 2>&1\nexec \(words.map(\.text).joined(separator: " "))\n"
            stage.box.write("\(folder)/blue/run", Array(text.utf8), mode: 0o755)
        }
        #expect(try stage.wait(["--generation", "blue"]).exit == 0)
        let first = try #require(try services.state("blue")?.pid)
        #expect(try stage.grow(64) == first)
        var second: pid_t?
        try waitUntil("it is back") {
            second = try services.state("blue")?.pid
            return second != nil && second != first
        }
        let pid = try #require(second)
        #expect(try stage.verb("wait", ["web", "--pid", ByteString(decimal: pid), "--timeout", "35s"]).exit == 0)
        let log = try String(contentsOfFile: stage.box["log"], encoding: .utf8)
        #expect(log.contains("copy 0 was pid \(first), which has ended: \(MemoryTests.beyond)"), "\(log)")
        #expect(groups.copies == ["blue.0.\(pid)"])
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        #expect(groups.areGone)
    }

    @Test func deployed() throws {
        let stage = try Stage(.privileged)
        let groups = try MemoryGroups(stage)
        try stage.deploy("1", copies: 2, MemoryTests.limit + ["--app-memory-max", "128M"])
        let copies = groups.copies
        #expect(copies.count == 2 && copies.allSatisfy { groups.processes($0).count == 1 }, "\(copies)")
        #expect(groups.max == 128 << 20)
        let python = ByteString(try Tool.require("python3"))
        let second = try stage.deploy(
            "2", copies: 2, MemoryTests.limit, command: [python, "-S", "-E", "-c", "bytearray(64 << 20)"], expect: 1)
        #expect(second.errors.contains(MemoryTests.beyond), "\(second.errors)")
        #expect(groups.copies == copies)
        #expect(groups.max == 128 << 20)
        try stage.deploy("3", copies: 2, ["--memory-max", "48M", "--keep-retired", "0"])
        #expect(groups.copies.map { $0.prefix(4) } == ["3.0.", "3.1."])
        #expect(groups.max ?? .max > 1 << 60, "nobody asked for it any more")
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        #expect(groups.areGone)
    }

    // MARK: - What is left behind

    @Test func helperIsNotInTheGroup() throws {
        let stage = try Stage(.privileged)
        let groups = try MemoryGroups(stage)
        let stuck = try stage.start("1", MemoryTests.limit, variables: ["SAMPLE_BOOT_MS=600000"])
        try waitUntil("the copy is in its group") { groups.copies.contains { groups.processes($0) == [stuck.pid] } }
        let helper = try #require(try stage.helper(of: stuck.pid))
        let file = try #require(FileManager.default.contents(atPath: "/proc/\(helper.pid)/cgroup"))
        let ofHelper = String(decoding: file, as: UTF8.self)
        #expect(!ofHelper.contains("reuseport-exec."), "\(ofHelper)")
        stuck.signal(SIGKILL)
        try waitUntil("the helper has removed them") { groups.areGone }
    }

    /// Copy and helper are killed, at once: nobody is left to remove the group but the next one.
    @Test func nextInvocationRemovesThem() throws {
        let stage = try Stage(.privileged)
        let groups = try MemoryGroups(stage)
        let stuck = try stage.start("1", MemoryTests.limit, variables: ["SAMPLE_BOOT_MS=600000"])
        try waitUntil("the copy is in its group") { groups.copies.contains { groups.processes($0) == [stuck.pid] } }
        let helper = try #require(try stage.helper(of: stuck.pid))
        kill(helper.pid, SIGKILL)
        stuck.signal(SIGKILL)
        _ = try stuck.end()
        // And one that was killed before it was written down.
        mkdir("\(groups.app)/1.1.4194304", 0o755)
        #expect(groups.copies.count == 2)
        let next = try stage.handOver("2", MemoryTests.limit)
        #expect(groups.copies == ["2.0.\(next[0].pid)"])
        let last = try stage.handOver("3")
        _ = try next[0].end()
        try waitUntil("the helper has gone") { try stage.helper(of: last[0].pid) == nil }
        // The old one may have finished after the helper had; then it is for whoever comes next.
        if !groups.areGone { #expect(try stage.verb("terminate", ["web"]).exit == 0) }
        #expect(groups.areGone)
    }

    @Test func limitThatCannotBeSet() throws {
        let stage = try Stage(.ordinary)
        _ = try MemoryGroups(stage)
        let old = try stage.handOver("1")
        let load = try Load(stage)
        let outcome = try stage.start("2", MemoryTests.limit).end()
        #expect(outcome.exit == 111)
        #expect(outcome.errors.contains("unable to limit the memory of app web"), "\(outcome.errors)")
        #expect(try !stage.verb("list").output.text.contains("failed"))
        #expect(try stage.verb("check", ["web", "--generation", "1"]).exit == 0)
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.byPID.keys.sorted() == ["\(old[0].pid)"])
    }

    /// Only who takes over says what all may have together.
    @Test func failedOneDoesNotLowerTheLimit() throws {
        let stage = try Stage(.privileged)
        let groups = try MemoryGroups(stage)
        _ = try stage.handOver("1", ["--app-memory-max", "128M"])
        #expect(groups.max == 128 << 20)
        let failing = try stage.start("2", ["--app-memory-max", "64M"], command: ["/bin/false"])
        #expect(try stage.wait(["--pid", ByteString(decimal: failing.pid)]).exit == 1)
        try failing.waitFor("nothing was switched")
        #expect(groups.max == 128 << 20)
        let next = try stage.handOver("3", ["--app-memory-max", "64M"])
        try waitUntil("the helper has gone") { try stage.helper(of: next[0].pid) == nil }
        #expect(groups.max == 64 << 20)
        #expect(try stage.verb("terminate", ["web"]).exit == 0)
        #expect(groups.areGone)
    }

    @Test func failureLaterOnRemovesTheGroup() throws {
        let stage = try Stage(.privileged)
        let groups = try MemoryGroups(stage)
        let outcome = try stage.start("1", MemoryTests.limit + ["--chdir", "/nonexistent"]).end()
        #expect(outcome.exit == 111)
        try waitUntil("the helper has removed it") { groups.areGone }
    }
}
