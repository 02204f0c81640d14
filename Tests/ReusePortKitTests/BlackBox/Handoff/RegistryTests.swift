import Foundation
import Testing

@testable import ReusePortKit

/// What is written down can be lost or wrong at any moment, and whoever writes it can be killed. The next invocation
/// finds its way, and clients lose nothing.
@Suite struct RegistryTests {
    // MARK: - Killed helpers

    /// A helper that has been killed leaves the handoff where it was.
    @Test(arguments: Level.allCases)
    func helperKilledWhileItWaits(level: Level) throws {
        let stage = try Stage(level)
        let old = try stage.handOver("1")
        let load = try Load(stage)
        let stuck = try stage.start("2", variables: ["SAMPLE_BOOT_MS=600000"])
        try killHelper(of: stuck, stage)
        #expect(try stage.verb("check", ["web", "--generation", "1"]).exit == 0)
        let new = try stage.handOver("3")
        #expect(try old[0].end().exit == 0)
        // Nobody waits for it any more.
        _ = try stuck.end()
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.byPID.keys.sorted() == [old[0].pid, new[0].pid].map { "\($0)" }.sorted())
    }

    @Test(arguments: Level.allCases)
    func helperKilledWhileItStops(level: Level) throws {
        let stage = try Stage(level)
        let options: [ByteString] = ["--stop-timeout", "10m"]
        let old = try stage.handOver("1", options, variables: ["SAMPLE_KEEP_LISTENING=1"])
        let load = try Load(stage)
        let second = try stage.handOver("2", options)
        try killHelper(of: second[0], stage)
        #expect(try stage.verb("check", ["web", "--generation", "2"]).exit == 0)
        let third = try stage.handOver("3", ["--stop-timeout", "500ms"])
        #expect(try second[0].end().exit == 0)
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.byPID["\(third[0].pid)"] != nil)
        // It has its ten minutes, and somebody who waits for it again.
        #expect(kill(old[0].pid, 0) == 0)
        old[0].kill()
        try waitUntil("the helper has gone") { try stage.helper(of: third[0].pid) == nil }
        #expect(try stage.verb("count", ["web"]).output.text == "1\n")
    }

    /// At moments that nobody chose.
    @Test(arguments: Level.allCases)
    func helpersKilledAnyTime(level: Level) throws {
        let stage = try Stage(level)
        var all = try stage.handOver("1")
        let load = try Load(stage)
        for number in 2...13 {
            let next = try stage.start("\(number)")
            all.append(next)
            try killHelper(of: next, stage, after: .milliseconds((number - 2) * 3))
        }
        let last = try stage.handOver("last")
        for process in all { _ = try process.end() }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.byPID["\(last[0].pid)"] != nil)
        #expect(try stage.verb("count", ["web"]).output.text == "1\n")
        let more = try stage.handOver("more")
        #expect(try last[0].end().exit == 0)
        #expect(try Load(stage).stop().byPID.keys.sorted() == ["\(more[0].pid)"])
    }

    /// Kills the helper of a copy, if it is there long enough to be seen.
    private func killHelper(of copy: Running, _ stage: Stage, after pause: Duration = .zero) throws {
        var helper: (pid: pid_t, start: String)?
        try waitUntil("a helper of \(copy.pid)") {
            helper = try stage.helper(of: copy.pid)
            if helper != nil || state(of: copy.pid) == "Z" { return true }
            // All is done already.
            return try stage.generations().contains { generation in
                generation.running.contains { $0.pid == copy.pid && $0.state == "live" }
            }
        }
        let end = ContinuousClock.now + pause
        while ContinuousClock.now < end { usleep(200) }
        // Not whoever has its number by now.
        guard let helper, startTime(of: helper.pid) == helper.start else { return }
        kill(helper.pid, SIGKILL)
        try waitUntil("the helper has gone") { startTime(of: helper.pid) != helper.start }
    }

    // MARK: - Lost and wrong files

    enum Damage: CaseIterable {
        case deleted, emptied, garbage, appLost, copiesLost, cutOff
    }

    @Test(arguments: Level.allCases, Damage.allCases)
    func damaged(level: Level, damage: Damage) throws {
        let stage = try Stage(level)
        let first = try stage.handOver("1")
        let second = try stage.handOver("2")
        #expect(try first[0].end().exit == 0)
        let load = try Load(stage)
        try waitUntil("the helper has gone") { try stage.helper(of: second[0].pid) == nil }
        let folder = "\(stage.runDirectory.text)/web"
        let files = try FileManager.default.contentsOfDirectory(atPath: folder)
        for name in files {
            let path = "\(folder)/\(name)"
            let isCopy = name.contains("-")
            switch damage {
            case .deleted: unlink(path)
            case .emptied: truncate(path, 0)
            case .garbage: stage.overwrite(path, "generation=\u{1}\u{0}garbage\nformat=1\n")
            case .appLost: if name == "app" { unlink(path) }
            case .copiesLost: if isCopy { unlink(path) }
            case .cutOff:
                guard let status = stage.box.status(path), status.st_size > 0 else { continue }
                truncate(path, status.st_size / 2)
            }
        }
        if damage == .deleted { rmdir(folder) }
        let third = try stage.handOver("3")
        let fourth = try stage.handOver("4")
        let outcome = try third[0].end()
        #expect(outcome.exit == 0)
        // Nobody but the fourth serves.
        try waitUntil("the fourth serves alone") { try Load(stage, connections: 8).stop().labels == ["4"] }
        let report = try load.stop()
        #expect(report.lost == 0, "\(damage): \(report.summary) \(outcome.errors)")
        #expect(report.byPID["\(fourth[0].pid)"] != nil)
        #expect(try stage.verb("count", ["web"]).output.text == "1\n")
    }

    /// All has ended, and nobody has told the registry.
    @Test(arguments: Level.allCases, Site.allCases)
    func everybodyWasKilled(level: Level, site: Site) throws {
        let stage = try Stage(level, site)
        let old = try stage.handOver("1")
        try waitUntil("the helper has gone") { try stage.helper(of: old[0].pid) == nil }
        old[0].kill()
        #expect(try stage.verb("check", ["web"]).exit == 1)
        #expect(try stage.verb("count", ["web"]).output.text == "0\n")
        let new = try stage.handOver("1")
        let report = try Load(stage).stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.byPID.keys.sorted() == ["\(new[0].pid)"])
    }

    /// A number that another process has by now says nothing of that process.
    @Test func numberOfAnotherProcess() throws {
        let stage = try Stage(.ordinary)
        let old = try stage.handOver("1")
        try waitUntil("the helper has gone") { try stage.helper(of: old[0].pid) == nil }
        let other = try stage.box.start(program: "/bin/sleep", ["1000"], stage.asDeployer)
        let folder = "\(stage.runDirectory.text)/web"
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
            guard let text = try? String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8) else { continue }
            stage.overwrite("\(folder)/\(name)", text.replacingOccurrences(of: "\(old[0].pid)", with: "\(other.pid)"))
        }
        old[0].kill()
        _ = try stage.handOver("2")
        _ = try stage.verb("terminate", ["web"])
        #expect(state(of: other.pid) == "S")
    }

    // MARK: - Folders of others

    @Test func linkedRunDirectory() throws {
        let stage = try Stage(.ordinary)
        let elsewhere = stage.box.makeDirectory("elsewhere", owner: stage.deployer)
        symlink(elsewhere, stage.runDirectory.text)
        try expectRefusal(stage)
        #expect(try FileManager.default.contentsOfDirectory(atPath: elsewhere) == [])
    }

    @Test func linkedAppFolder() throws {
        let stage = try Stage(.ordinary)
        let elsewhere = stage.box.makeDirectory("elsewhere", owner: stage.deployer)
        _ = stage.box.makeDirectory("home/run", owner: stage.deployer)
        symlink(elsewhere, "\(stage.runDirectory.text)/web")
        try expectRefusal(stage)
        #expect(try FileManager.default.contentsOfDirectory(atPath: elsewhere) == [])
    }

    @Test(arguments: ["home/run", "home/run/web"])
    func folderOfAnotherUser(name: String) throws {
        try Tool.requireRoot()
        let stage = try Stage(.ordinary)
        for folder in ["home/run", "home/run/web"] {
            _ = stage.box.makeDirectory(folder, owner: folder == name ? 1 : stage.deployer)
        }
        try expectRefusal(stage)
    }

    /// Whoever can replace a directory above it can put another registry in its place.
    @Test func folderBelowAnothers() throws {
        try Tool.requireRoot()
        let stage = try Stage(.privileged)
        _ = stage.box.makeDirectory("theirs", owner: 65534)
        let folder = stage.box.makeDirectory("theirs/run")
        for words in [["list"], ["--app", "web", "--socket", stage.socket, "--", "/bin/true"]] as [[ByteString]] {
            let at = words.count == 1 ? words : Array(words.dropLast(2))
            let outcome = try stage.box.run(at + ["--run-dir", ByteString(folder)] + words.dropFirst(at.count))
            expectFailure(outcome, 111, "trust run directory \(folder): uid 65534 may replace 'run' in it; …")
        }
    }

    @Test(arguments: ["home/run", "home/run/web"])
    func folderThatOthersMayWrite(name: String) throws {
        let stage = try Stage(.ordinary)
        for folder in ["home/run", "home/run/web"] {
            _ = stage.box.makeDirectory(folder, mode: folder == name ? 0o777 : 0o755, owner: stage.deployer)
        }
        try expectRefusal(stage)
    }

    /// A file that others may write, or that is another user's, is as if it were not there.
    @Test(arguments: [true, false]) func fileThatOthersMayWrite(isTheirs: Bool) throws {
        try Tool.requireRoot()
        let stage = try Stage(.ordinary)
        _ = try stage.handOver("blue")
        let file = "\(stage.runDirectory.text)/web/app"
        stage.overwrite(file, try String(contentsOfFile: file, encoding: .utf8).replacing("blue", with: "evil"))
        #expect(try stage.verb("list").output.text.contains("evil"))
        if isTheirs { chown(file, 1, 1) } else { chmod(file, 0o666) }
        #expect(try !stage.verb("list").output.text.contains("evil"))
    }

    /// Words of a command line can be secrets.
    @Test(arguments: Level.allCases) func commandLinesAreForNobodyElse(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1", ["--env", "PASSWORD=secret"])
        let folder = "\(stage.runDirectory.text)/web"
        var count = 0
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
            let text = FileManager.default.contents(atPath: "\(folder)/\(name)") ?? Data()
            guard String(decoding: text, as: UTF8.self).contains("secret") else { continue }
            count += 1
            #expect(try #require(stage.box.status("\(folder)/\(name)")).st_mode & 0o077 == 0, "\(name)")
        }
        #expect(count > 0)
    }

    private func expectRefusal(_ stage: Stage, _ location: SourceLocation = #_sourceLocation) throws {
        let outcome = try stage.start("1", command: ["/bin/echo", "started"]).end()
        #expect(outcome.exit == 111, "\(outcome.errors)", sourceLocation: location)
        #expect(outcome.output.text == "", sourceLocation: location)
        #expect(
            outcome.errors.hasPrefix("reuseport-exec: fatal: unable to ")
                && outcome.errors.contains(stage.runDirectory.text), "\(outcome.errors)", sourceLocation: location)
        let verb = try stage.verb("list")
        #expect(verb.exit != 0 || !verb.output.text.contains("web"), sourceLocation: location)
    }
}

extension Stage {
    /// The helper that looks after a copy, as the registry has it.
    func helper(of pid: pid_t) throws -> (pid: pid_t, start: String)? {
        let folder = "\(runDirectory.text)/web"
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] where name.contains("-") {
            guard let text = try? String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8) else { continue }
            var fields: [String: [String]] = [:]
            for line in text.split(separator: "\n") {
                let parts = line.split(separator: "=", maxSplits: 1)
                if parts.count == 2 { fields[String(parts[0])] = parts[1].split(separator: " ").map(String.init) }
            }
            guard fields["process"]?.first == "\(pid)", let helper = fields["helper"], helper.count == 2,
                let number = pid_t(helper[0]), startTime(of: number) == helper[1]
            else { continue }
            return (number, helper[1])
        }
        return nil
    }

    /// Puts something else into a file, which stays its owner's.
    func overwrite(_ path: String, _ text: String) {
        guard let file = FileHandle(forWritingAtPath: path) else { return }
        file.truncateFile(atOffset: 0)
        file.write(Data(text.utf8))
        file.closeFile()
    }
}
