import Foundation
import Testing

@testable import ReusePortKit

/// `logs`: what is shown of the output of copies, and what nobody can have it show.
@Suite struct LogsTests {
    /// A server that says where it is, at its start and when it is asked.
    private func talker(_ stage: Stage, _ label: String) throws -> [ByteString] {
        [
            "/bin/sh", "-c",
            "echo out of \(ByteString(label)) $1; shift; exec \"$@\"", "sh", "{copy}",
        ] + (try stage.sampleServer(label))
    }

    private func deploy(
        _ stage: Stage, _ label: String, copies: Int? = nil, _ options: [ByteString] = []
    ) throws {
        try stage.deploy(label, copies: copies, options, command: try talker(stage, label))
    }

    private func logs(_ stage: Stage, _ options: [ByteString] = [], expect: Int32 = 0) throws -> [String] {
        let outcome = try stage.verb("logs", ["web"] + options)
        #expect(outcome.exit == expect, "\(outcome.errors)")
        return (expect == 0 ? outcome.output.text : outcome.errors).split(separator: "\n").map(String.init)
    }

    /// Without the time.
    private func kinds(_ lines: [String]) -> [String] {
        lines.filter { $0.hasPrefix("out of ") || $0.contains(" here, ") }
            .map { $0.components(separatedBy: ", ")[0] }
    }

    private func mark(_ label: String, _ word: String = "begins") -> String {
        "reuseport-exec: info: web \(label): \(word) here"
    }

    @Test(arguments: Level.allCases)
    func twoGenerationsInOneLog(level: Level) throws {
        let stage = try Stage(level)
        try deploy(stage, "blue")
        try deploy(stage, "green")
        let all = [mark("blue"), "out of blue 0", mark("green"), "out of green 0"]
        #expect(kinds(try logs(stage)) == all)
        #expect(kinds(try logs(stage, ["--generation", "blue"])) == all)
        #expect(kinds(try logs(stage, ["--generation", "green"])) == Array(all.suffix(2)))
        #expect(try logs(stage, ["-n", "1"]) == [stage.log.split(separator: "\n").map(String.init).last!])
        // A copy that joins has another mark than one that begins.
        try stage.change(["scale", "web", "2"])
        let grown = kinds(try logs(stage, ["--generation", "green"]))
        #expect(grown == [mark("green"), "out of green 0", mark("green", "goes on"), "out of green 1"])
        #expect(try logs(stage, ["--generation", "green", "-n", "1"]).count == 1)
        // The mark has a time.
        let line = try #require(stage.log.split(separator: "\n").first)
        #expect(line.wholeMatch(of: /.* here, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}/) != nil, "\(line)")
    }

    /// A long log: the mark is found parts of a file away from its end, and where two parts meet.
    @Test func farFromTheEnd() throws {
        let stage = try Stage(.ordinary)
        try deploy(stage, "blue")
        let start = stage.log.utf8.count
        for length in [1 << 16, 1 << 16 + 20, 1 << 16 - 20, 200_001] {
            let text = try FileHandle(forWritingTo: URL(fileURLWithPath: stage.logPath))
            try text.truncate(atOffset: UInt64(start))
            try text.seekToEnd()
            for number in 0..<(length / 50) { text.write(Data(String(format: "%049d\n", number).utf8)) }
            try text.close()
            let lines = try logs(stage, ["--generation", "blue"])
            #expect(lines.first?.hasPrefix(mark("blue")) == true && lines.count > length / 50, "\(length)")
        }
    }

    @Test func oneFileForEachCopy() throws {
        let stage = try Stage(.ordinary)
        try deploy(stage, "blue", copies: 2, ["--log", "\(ByteString(stage.home))/web-{copy}.log"])
        let all = try logs(stage)
        #expect(all.filter { $0.hasPrefix("==>") } == (0..<2).map { "==> \(stage.home)/web-\($0).log <==" })
        #expect(kinds(all) == [mark("blue"), "out of blue 0", mark("blue"), "out of blue 1"])
        #expect(kinds(try logs(stage, ["--copy", "1"])) == [mark("blue"), "out of blue 1"])
        #expect(try logs(stage, ["--generation", "blue"], expect: 1)[0].contains("add --copy N"))
        let one = try logs(stage, ["--generation", "blue", "--copy", "0"])
        #expect(kinds(one) == [mark("blue"), "out of blue 0"])
    }

    @Test func followsAcrossADeploy() throws {
        let stage = try Stage(.ordinary)
        try deploy(stage, "blue")
        let follower = try stage.launch(["logs", "web", "-f", "--run-dir", stage.runDirectory])
        try follower.waitFor("out of blue 0")
        try deploy(stage, "green")
        try follower.waitFor("out of green 0")
        // And a rotated log, since nobody else can put another file in its place.
        rename(stage.logPath, "\(stage.logPath).1")
        try deploy(stage, "red")
        try follower.waitFor("out of red 0")
        follower.signal(SIGTERM)
        let lines = kinds(try follower.end().output.text.split(separator: "\n").map(String.init))
        #expect(lines == ["blue", "green", "red"].flatMap { [mark($0), "out of \($0) 0"] })
    }

    // MARK: - Files of others

    /// Root's app, whose log is in a folder of the target's user.
    private func exposed() throws -> (stage: Stage, log: String) {
        let stage = try Stage(.privileged)
        let folder = stage.box.makeDirectory("theirs", owner: 65534)
        try deploy(stage, "blue", ["--log", "\(ByteString(folder))/web.log"])
        return (stage, "\(folder)/web.log")
    }

    @Test func fileOfTheTarget() throws {
        let (stage, log) = try exposed()
        #expect(kinds(try logs(stage)) == [mark("blue"), "out of blue 0"])
        let follower = try stage.launch(["logs", "web", "-f", "--run-dir", stage.runDirectory])
        try follower.waitFor("out of blue 0")
        try follower.waitFor("follows what is open now: uid 65534 may replace")
        // A file that takes the name is not shown, because that would be on a terminal of root.
        stage.box.write("secret", "for root only\n", mode: 0o600)
        rename(log, "\(log).1")
        #expect(symlink(stage.box["secret"], log) == 0)
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(log).1"))
        try file.seekToEnd()
        file.write(Data("the last line\n".utf8))
        try follower.waitFor("the last line")
        follower.signal(SIGTERM)
        #expect(!(try follower.end().output.text.contains("for root only")))
    }

    @Test(arguments: ["link", "FIFO", "folder", "hard link"])
    func nothingElseIsRead(kind: String) throws {
        let (stage, log) = try exposed()
        let secret = stage.box.write("secret", "for root only\n", mode: 0o600)
        unlink(log)
        switch kind {
        case "link":
            #expect(symlink(secret, log) == 0)
            #expect(lchown(log, 65534, 65534) == 0)
        case "FIFO": #expect(mkfifo(log, 0o666) == 0)
        case "folder": #expect(mkdir(log, 0o755) == 0)
        default: #expect(link(secret, log) == 0)
        }
        for options in [[], ["-f"], ["--generation", "blue"]] as [[ByteString]] {
            let outcome = try stage.verb("logs", ["web"] + options)
            #expect(outcome.exit == 111 && outcome.output.isEmpty, "\(outcome.errors)")
            #expect(outcome.errors.contains(log), "\(outcome.errors)")
        }
    }

    // MARK: - What has no file

    @Test func whereItWasDeployed() throws {
        let stage = try Stage(.ordinary)
        // The copies have the output of the deploy, which would not end for whoever reads it.
        let words =
            [ByteString(try stage.box.launcher())] + (try stage.deployWords("blue", copies: nil, ["--log", "-"], nil))
        try stage.box.start(
            program: "/bin/sh", ["-c", ByteString("\(quoted(words)) >/dev/null 2>&1")],
            environment: stage.environment([]) + [stage.mark], stage.asDeployer
        ).endWell()
        let said = try logs(stage, expect: 1)[0]
        #expect(said.contains("goes where deploy was called") && said.contains("migrate web --log FILE"), "\(said)")
    }

    @Test func unknownOnes() throws {
        let stage = try Stage(.ordinary)
        #expect(try logs(stage, expect: 1)[0].contains("it is not registered"))
        _ = try stage.handOver("blue")
        #expect(try logs(stage, expect: 1)[0].contains("not started by deploy"))
        try deploy(stage, "green")
        #expect(try logs(stage, ["--generation", "red"], expect: 1)[0].contains("no such generation"))
        unlink(stage.logPath)
        #expect(try logs(stage, expect: 111)[0].contains(stage.logPath))
    }

    /// The mark is lost with what was rotated away.
    @Test func lostMark() throws {
        let stage = try Stage(.ordinary)
        try deploy(stage, "blue")
        #expect(truncate(stage.logPath, 0) == 0)
        #expect(try logs(stage, ["--generation", "blue"], expect: 1)[0].contains("leave --generation out"))
        #expect(try logs(stage).isEmpty)
    }

    // MARK: - Supervisors

    @Test(arguments: SupervisorKind.allCases)
    func supervised(kind: SupervisorKind) throws {
        let stage = try Stage(.privileged)
        let services = try Services(stage, kind)
        try deploy(stage, "blue", copies: 2, services.deployOptions)
        try waitUntil("both are logged") {
            let text = try logs(stage).joined(separator: "\n")
            return text.contains("out of blue 0") && text.contains("out of blue 1")
        }
        #expect(try logs(stage).contains("==> \(stage.home)/logs/blue-1/current <=="))
        #expect(try !logs(stage, ["--copy", "1"]).joined().contains("out of blue 0"))
        try deploy(stage, "green", copies: 1, services.deployOptions)
        try waitUntil("the new one is logged") { try logs(stage).joined().contains("out of green 0") }
        #expect(try !logs(stage).joined().contains("out of blue"))
        #expect(try logs(stage, ["--generation", "blue", "--copy", "0"]).joined().contains("out of blue 0"))
    }

    /// The folders of generations that are forgotten go, and those of the last stay.
    @Test func oldFoldersGo() throws {
        let stage = try Stage(.privileged)
        let services = try Services(stage, .s6)
        for number in 1...7 { try stage.deploy("v\(number)", services.deployOptions) }
        try stage.deploy("bad", services.deployOptions, command: ["/bin/sh", "-c", "exit 3"], expect: 1)
        try stage.deploy("v8", services.deployOptions)
        let names = try FileManager.default.contentsOfDirectory(atPath: "\(stage.home)/logs").sorted()
        // The live one and five past ones, of which the one that failed is one.
        #expect(names == ["bad-0"] + (4...8).map { "v\($0)-0" })
    }
}
