import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// What the verbs say and how they exit.
@Suite struct VerbTests {
    private func object(_ outcome: Outcome) throws -> Any {
        #expect(outcome.exit == 0, "\(outcome.errors)")
        return try JSONSerialization.jsonObject(with: Data(outcome.output.bytes))
    }

    /// Every value of a key, wherever it stands.
    private func values(_ key: String, in object: Any) -> [Any] {
        var result: [Any] = []
        if let dictionary = object as? [String: Any] {
            for (name, value) in dictionary { result += (name == key ? [value] : []) + values(key, in: value) }
        } else if let array = object as? [Any] {
            for value in array { result += values(key, in: value) }
        }
        return result
    }

    @Test(arguments: Level.allCases)
    func liveApp(level: Level) throws {
        let stage = try Stage(level)
        let copies = try stage.handOver("blue", copies: 2)
        #expect(try stage.verb("count", ["web"]).output.text == "2\n")
        #expect(try stage.verb("count").output.text == "2\n")
        for list in ["list", "ls"] as [ByteString] {
            let text = try stage.verb(list)
            #expect(text.exit == 0)
            #expect(text.output.text.contains("web") && text.output.text.contains("blue"), "\(text.output.text)")
            #expect(values("generation", in: try object(try stage.verb(list, ["--json"]))) as? [String] == ["blue"])
        }
        for state in ["state", "st"] as [ByteString] {
            let text = try stage.verb(state, ["web"]).output.text
            for copy in copies { #expect(text.contains("\(copy.pid)"), "\(text)") }
            let object = try object(try stage.verb(state, ["web", "--json"]))
            #expect(Set(values("pid", in: object) as? [Int] ?? []) == Set(copies.map { Int($0.pid) }))
            #expect(values("state", in: object).contains { $0 as? String == "live" })
        }
        #expect(try stage.verb("check", ["web"]).exit == 0)
        #expect(try stage.verb("check", ["web", "--generation", "blue"]).exit == 0)
        #expect(try stage.wait(["--generation", "blue"]).exit == 0)
        #expect(try stage.wait(["--pid", ByteString(decimal: copies[1].pid)]).exit == 0)
        #expect(try stage.wait([]).exit == 0)
    }

    /// Standard error has nothing but what went wrong, and what a verb is asked for comes all the same.
    @Test func quiet() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1", ["--quiet"])
        let silent: [[ByteString]] = [
            ["scale", "web", "2"], ["restart", "web"], ["restart", "web", "--copy", "0"],
            ["restart", "web", "--at-once"], ["suspend", "web", "--in-place"], ["suspend", "web"], ["resume", "web"],
            ["suspend", "web"], ["resume", "web"], ["migrate", "web"], ["wait", "web"], ["check", "web"],
            ["finish", "web", "--generation", "none", "0", "0"],
        ]
        for words in silent {
            let outcome = try stage.change(words + ["--quiet"])
            #expect(outcome.errors == "" && outcome.output.isEmpty, "\(words.map(\.text)): \(outcome.errors)")
        }
        let asked: [[ByteString]] = [["count"], ["list"], ["state", "web"], ["next", "web", "--of", "a,b"]]
        for words in asked {
            let outcome = try stage.change(words + ["--quiet"])
            #expect(outcome.errors == "" && !outcome.output.isEmpty, "\(words.map(\.text)): \(outcome.errors)")
        }
        for words in [["retire", "web"], ["terminate", "web"]] as [[ByteString]] {
            let outcome = try stage.change(words + ["--quiet"])
            #expect(outcome.errors == "", "\(words.map(\.text)): \(outcome.errors)")
            try stage.deploy("2", ["--quiet"])
        }
        try stage.change(["terminate", "web", "--quiet"])
        #expect(try stage.verb("check", ["web", "--quiet"]).errors.contains("no generation of it is live"))
    }

    /// Answers of no are told by the exit code, and by a line that says why.
    @Test func nothingThere() throws {
        let stage = try Stage(.ordinary)
        #expect(try stage.verb("list").exit == 0)
        #expect(try object(try stage.verb("list", ["--json"])) is [Any])
        #expect(try stage.verb("check", ["web"]).exit == 1)
        #expect(try stage.verb("count").output.text == "0\n")
        for which in [["--generation", "7"], ["--pid", ByteString(decimal: getpid())], []] as [[ByteString]] {
            let outcome = try stage.verb("wait", ["web"] + which + ["--timeout", "100ms"])
            #expect(outcome.exit == 1)
            #expect(outcome.errors.hasPrefix("reuseport-exec: fatal: unable to "), "\(outcome.errors)")
        }
        for verb in ["count", "state", "retire", "terminate"] as [ByteString] {
            let outcome = try stage.verb(verb, ["web"])
            #expect(outcome.exit == 1, "\(verb.text)")
            #expect(outcome.errors.contains("web"), "\(outcome.errors)")
        }
    }

    @Test(arguments: [
        ["check"], ["wait"], ["check", "web", "more"], ["list", "--timeout", "1s"], ["wait", "web", "--timeout"],
    ])
    func usage(words: [String]) throws {
        let stage = try Stage(.ordinary)
        let outcome = try stage.box.run(words.map { ByteString($0) }, stage.asDeployer)
        #expect(outcome.exit == 100)
        #expect(outcome.errors.hasPrefix("reuseport-exec: fatal: unable to "), "\(outcome.errors)")
    }

    /// After `--`, a verb is a command.
    @Test func verbAsCommand() throws {
        let box = Sandbox()
        box.write("list", "#!/bin/sh\necho \"$@\"\n", mode: 0o755)
        let outcome = try box.run(["--env", "PATH=\(box.path)", "--", "list", "--json"])
        #expect(outcome.output.text == "--json\n")
    }

    // MARK: - Ending

    @Test(arguments: Level.allCases, ["retire", "terminate"] as [ByteString])
    func end(level: Level, verb: ByteString) throws {
        let stage = try Stage(level)
        let copies = try stage.handOver("1", copies: 2)
        #expect(try stage.verb(verb, ["web"]).exit == 0)
        for copy in copies { #expect(try copy.end().exit == 0) }
        #expect(try stage.verb("check", ["web"]).exit == 1)
        #expect(try stage.verb("count", ["web"]).output.text == "0\n")
        #expect(try stage.handOver("2").count == 1)
    }

    /// A request that takes its time is finished by the generation that got it, and answered.
    @Test(arguments: Level.allCases)
    func retiredOneFinishes(level: Level) throws {
        let stage = try Stage(level)
        let old = try stage.handOver("1")
        let client = try stage.slowRequest(milliseconds: 2000)
        _ = try stage.handOver("2")
        try waitUntil("the old one is retired") {
            let object = try object(try stage.verb("state", ["web", "--json"]))
            return values("state", in: object).contains { $0 as? String == "retired" }
        }
        #expect(try stage.verb("count", ["web"]).output.text == "1\n")
        let answer = try client.end()
        #expect(answer.exit == 0)
        #expect(answer.output.text.contains("label: 1\n"), "\(answer.output.text)")
        #expect(try old[0].end().exit == 0)
        // Nobody was there to see it.
        let reason = try stage.generation("1")?.copies[0].reason
        #expect(reason == "it was told to stop")
    }

    /// Of those that finish what they are at, so many may live on; the next handoff ends the others.
    @Test func noMoreRetiredOnesThanAreKept() throws {
        let stage = try Stage(.ordinary)
        let options: [ByteString] = ["--keep-retired", "1", "--stop-timeout", "1s"]
        var copies: [Running] = []
        var clients: [Running] = []
        for label in ["1", "2", "3"] {
            copies += try stage.handOver(label, options)
            clients.append(try stage.slowRequest(milliseconds: 600_000))
        }
        // It had a second once more.
        #expect(try copies[0].end().status & 0x7F == SIGKILL)
        try waitUntil("the helper has gone") { try stage.helper(of: copies[2].pid) == nil }
        #expect(try stage.generations().map(\.state) == ["ended", "retired", "live"])
        #expect(!hasEnded(copies[1].pid))
        for client in clients { client.kill() }
    }

    /// `terminate` has not the half minute that a handoff has.
    @Test func killedAtLast() throws {
        let stage = try Stage(.ordinary)
        let copies = try stage.handOver("1", variables: ["SAMPLE_IGNORE_TERM=1"])
        let outcome = try stage.verb("terminate", ["web"])
        #expect(outcome.exit == 0)
        #expect(outcome.errors.contains("killing pid \(copies[0].pid)"), "\(outcome.errors)")
        #expect(outcome.errors.contains(" 5s after TERM"), "\(outcome.errors)")
        #expect(try copies[0].end().status == SIGKILL)
    }

    @Test func terminateRetired() throws {
        let stage = try Stage(.ordinary)
        let old = try stage.handOver("1")
        let client = try stage.slowRequest(milliseconds: 60000)
        let new = try stage.handOver("2")
        try waitUntil("the old one is retired") {
            let object = try object(try stage.verb("state", ["web", "--json"]))
            return values("state", in: object).contains { $0 as? String == "retired" }
        }
        #expect(try stage.verb("terminate", ["web", "--retired"]).exit == 0)
        _ = try old[0].end()
        #expect(try client.end().exit == 1)
        #expect(try stage.verb("check", ["web", "--generation", "2"]).exit == 0)
        #expect(state(of: new[0].pid) != "Z")
    }

    /// The newest ones may go on finishing.
    @Test func keptRetired() throws {
        let stage = try Stage(.ordinary)
        var generations: [Running] = []
        var clients: [Running] = []
        for number in 1...3 {
            generations += try stage.handOver("\(number)", ["--keep-retired", "1"])
            clients.append(try stage.slowRequest(milliseconds: 60000))
        }
        // The second took its place when the third came.
        _ = try generations[0].end()
        #expect(try clients[0].end().exit == 1)
        #expect(state(of: generations[1].pid) != "Z")
        _ = try stage.handOver("4", ["--keep-retired", "0", "--stop-timeout", "500ms"])
        for generation in generations { _ = try generation.end() }
    }

    // MARK: - Telling the supervisor

    @Test(arguments: Level.allCases)
    func notifiesInheritedSocket(level: Level) throws {
        let stage = try Stage(level)
        let path = "\(stage.home)/notify"
        let listener = try Endpoint.bound(.unix(path), type: datagramSocket)
        chmod(path, 0o777)
        let old = try stage.handOver("1", variables: ["NOTIFY_SOCKET=\(path)"])
        #expect(try listener.receive().split(separator: "\n").contains("READY=1"))
        // That generation 2 is there is no news while it boots.
        let new = try stage.start("2", variables: ["NOTIFY_SOCKET=\(path)", "SAMPLE_BOOT_MS=300"])
        #expect(try listener.receive().split(separator: "\n").contains("READY=1"))
        #expect(try stage.verb("check", ["web", "--generation", "2"]).exit == 0)
        #expect(try stage.wait(["--pid", ByteString(decimal: new.pid)]).exit == 0)
        #expect(try old[0].end().exit == 0)
    }

    // MARK: - What the target sees

    /// No child that it does not know, and no descriptor that it did not ask for.
    @Test(arguments: Level.allCases)
    func targetIsItself(level: Level) throws {
        let stage = try Stage(level)
        let copy = try stage.handOver("1")
        let answer = try stage.ask()
        #expect(answer.contains("\ninherited: 0 1 2 3\n"), "\(answer)")
        #expect(answer.contains("pid: \(copy[0].pid)\n"))
        #expect(try String(contentsOfFile: "/proc/\(copy[0].pid)/task/\(copy[0].pid)/children", encoding: .utf8) == "")
        // The helper is for the handoff only.
        try waitUntil("the helper has gone") { try stage.helper(of: copy[0].pid) == nil }
    }

    /// The supervisor is told by the helper, when the copy has taken over, and never by the program.
    @Test(arguments: Level.allCases)
    func targetDoesNotKnowTheSupervisor(level: Level) throws {
        let stage = try Stage(level)
        let script: ByteString = "echo \"socket: ${NOTIFY_SOCKET-none}\"; exec \"$@\""
        let copy = try stage.start(
            "1", variables: ["NOTIFY_SOCKET=\(stage.home)/notify"],
            command: ["/bin/sh", "-c", script, "sh"] + stage.sampleServer("1"))
        try copy.waitFor("socket: none\n")
    }

    // MARK: - A copy that comes back

    @Test(arguments: Level.allCases)
    func respawnedCopyTakesItsPlace(level: Level) throws {
        let stage = try Stage(level)
        let copies = try stage.handOver("1", copies: 3)
        copies[1].kill()
        #expect(try stage.verb("count", ["web"]).output.text == "2\n")
        let again = try stage.start("1", copies: 3, copy: 1)
        #expect(try stage.wait(["--pid", ByteString(decimal: again.pid)]).exit == 0)
        #expect(try stage.verb("count", ["web"]).output.text == "3\n")
        let report = try Load(stage).stop()
        #expect(report.lost == 0, "\(report.summary)")
        #expect(report.byPID.keys.sorted() == [copies[0], again, copies[2]].map { "\($0.pid)" }.sorted())
    }

    /// The later of two handoffs waits for the earlier, or says who is in the way.
    @Test(arguments: Level.allCases)
    func oneHandoffAtATime(level: Level) throws {
        let stage = try Stage(level)
        _ = try stage.handOver("1")
        let slow = try stage.start("2", variables: ["SAMPLE_BOOT_MS=6000"])
        try waitUntil("it is registered") { try stage.helper(of: slow.pid) != nil }
        let hasty = try stage.start("3", ["--lock-timeout", "100ms"]).end()
        #expect(hasty.exit == 1)
        #expect(
            hasty.errors.contains("unable to start a generation of app web: generation 2 is taking over"),
            "\(hasty.errors)")
        let patient = try stage.start("4")
        #expect(try stage.wait(["--pid", ByteString(decimal: slow.pid)]).exit == 0)
        #expect(try stage.wait(["--pid", ByteString(decimal: patient.pid)]).exit == 0)
        #expect(try slow.end().exit == 0)
        #expect(try stage.verb("check", ["web", "--generation", "4"]).exit == 0)
    }
}
