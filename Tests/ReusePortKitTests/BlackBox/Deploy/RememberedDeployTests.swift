import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// What a deploy was told, and its environment and directory, stay for copies that are started later from elsewhere.
@Suite struct RememberedDeployTests {
    private func environment(of pid: pid_t) -> Set<String> {
        let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/environ") ?? Data()
        return Set(bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) })
    }

    /// The value of a variable in each copy of the live generation.
    private func values(of name: String, _ stage: Stage) throws -> [String] {
        try stage.pids().map { pid in
            let entry = environment(of: pid).first { $0.hasPrefix("\(name)=") }
            return entry.map { String($0.dropFirst(name.count + 1)) } ?? "none"
        }
    }

    private func record(_ stage: Stage) throws -> (path: String, text: String) {
        let folder = "\(stage.runDirectory.text)/web"
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasPrefix("deployment.") }
        let name = names.max { Int($0.dropFirst(11))! < Int($1.dropFirst(11))! }!
        return ("\(folder)/\(name)", try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8))
    }

    // MARK: - Options

    /// Else the program would speak TLS on the port for plain connections: it tells sockets apart by their order.
    @Test(arguments: [false, true]) func replacedSocketKeepsItsPlace(inFile: Bool) throws {
        let stage = try Stage(.ordinary)
        let seen = "\(stage.box.makeDirectory("seen", mode: 0o777))/view"
        let admin: ByteString = "admin:unix:\(stage.home)/admin.sock,mode=666"
        let variables: [ByteString] = ["VIEW_TO=\(seen)", "VIEW_STAY=1"]
        func view() throws -> View {
            var view: View?
            try waitUntil("the view") {
                view = FileManager.default.contents(atPath: seen).flatMap { try? View(ByteString([UInt8]($0))) }
                return view != nil
            }
            unlink(seen)
            return view!
        }
        var line: [ByteString] = ["--ready", "none"]
        let file = stage.box.write("web.conf", "socket: \(stage.socket.text)\nsocket: \(admin.text)\n")
        if inFile {
            line += ["--config", ByteString(file)]
        } else {
            line += ["--socket", stage.socket, "--socket", admin]
        }
        let words: [ByteString] =
            ["deploy", "--app", "web", "--run-dir", stage.runDirectory, "--log", "/dev/null"] + line
        let command: [ByteString] = ["--", ByteString(try stage.box.target("view"))]
        #expect(try stage.launch(words + command, variables: variables).end().exit == 0)
        #expect(try view().port(3) == "\(stage.port)")
        let changed: ByteString = "\(stage.socket),backlog=7"
        if inFile {
            #expect(try stage.launch(words + ["--socket", changed] + command, variables: variables).end().exit == 0)
        } else {
            try stage.change(["migrate", "web", "--socket", changed], variables: variables)
        }
        let second = try view()
        #expect(second.port(3) == "\(stage.port)" && second.backlog(3) == "7")
        #expect(second.variable("LISTEN_FDNAMES") == "http:admin")
    }

    @Test func commandAlone() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1", copies: 2, ["--env", "COLOR=blue"])
        let words: [ByteString] = ["migrate", "web", "--run-dir", stage.runDirectory, "--"]
        let migrated = try stage.launch(words + stage.sampleServer("other"), variables: ["COLOR=red"]).end()
        #expect(migrated.exit == 0, "\(migrated.errors)")
        #expect(try stage.ask().contains("label: other"))
        #expect(try values(of: "COLOR", stage) == ["blue", "blue"])
        // deploy with a command says all of it, but for the number of copies.
        let outcome = try stage.deploy("3", ["--stop-timeout", "9s"])
        #expect(outcome.errors.contains("keeps 2 copies, since --copies is not given"), "\(outcome.errors)")
        #expect(try values(of: "COLOR", stage) == ["none", "none"])
        try stage.change(["scale", "web", "3"])
        let same = try stage.change(["migrate", "web", "--copies", "same"])
        #expect(!same.errors.contains(" before") && !same.errors.contains("keeps 3"), "\(same.errors)")
        #expect(try stage.pids().count == 3)
        let fewer = try stage.deploy("few", copies: 1)
        #expect(
            fewer.errors.contains("web: 1 copy, 3 before\n") && !fewer.errors.contains("keeps 3"), "\(fewer.errors)")
        #expect(try stage.pids().count == 1)
        #expect(try stage.change(["migrate", "web", "--copies", "2"]).errors.contains(": 2 copies, 1 before\n"))
        try stage.change(["migrate", "web", "--copies", "same"])
        #expect(try stage.pids().count == 2)
        try stage.expectOnly(try stage.pids())
    }

    // MARK: - The environment

    /// Whoever scales, migrates or restarts, the copies are those of the deploy.
    @Test(arguments: Level.allCases) func environmentStays(level: Level) throws {
        let stage = try Stage(level)
        let here: [ByteString] = ["WHO=first", "SAMPLE_X=two\nlines %", "OTHER=1"]
        try stage.deploy("1", ["--ready", "exec:test \"$WHO\" = first", "--ready-timeout", "5s"], variables: here)
        let (path, _) = try record(stage)
        let info = try #require(stage.box.status(path))
        #expect(info.st_mode & 0o777 == 0o600 && info.st_uid == stage.deployer ?? geteuid())
        let there: [ByteString] = ["WHO=second", "OTHER=1", "SECRET=hunter2"]
        let changes: [[ByteString]] = [
            ["scale", "web", "2"], ["restart", "web", "--copy", "0"], ["migrate", "web"], ["restart", "web"],
        ]
        for words in changes {
            let outcome = try stage.change(words, variables: there)
            #expect(try values(of: "WHO", stage) == ["first", "first"], "\(words.map(\.text))")
            #expect(try values(of: "SAMPLE_X", stage) == ["two\nlines %", "two\nlines %"])
            #expect(try values(of: "SECRET", stage) == ["none", "none"])
            // Names, without values.
            #expect(outcome.errors.contains("here differs: SAMPLE_X SECRET WHO ("), "\(outcome.errors)")
            #expect(!outcome.errors.contains("hunter2") && !outcome.errors.contains("second"), "\(outcome.errors)")
        }
        let quiet = try stage.change(["migrate", "web"], variables: here)
        #expect(!quiet.errors.contains("differs"), "\(quiet.errors)")
        try stage.change(["migrate", "web", "--update-env", "--ready", "accept"], variables: there)
        #expect(try values(of: "WHO", stage) == ["second", "second"])
        #expect(try values(of: "SAMPLE_X", stage) == ["none", "none"])
        try stage.change(["scale", "web", "3"])
        #expect(try values(of: "WHO", stage) == ["second", "second", "second"])
    }

    @Test func onlyWhatIsKept() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy(
            "1", ["--clear-env", "--keep-env", "WHO", "--keep-env", "UNSET"],
            variables: ["WHO=first", "SECRET=hunter2"])
        let text = try record(stage).text
        #expect(text.contains("WHO=first") && !text.contains("SECRET"), "\(text)")
        let there: [ByteString] = ["WHO=second", "UNSET=now", "SECRET=x", "NEW=new"]
        let outcome = try stage.change(["migrate", "web", "--keep-env", "NEW"], variables: there)
        #expect(outcome.errors.contains("here differs: UNSET WHO ("), "\(outcome.errors)")
        for (name, value) in [("WHO", "first"), ("UNSET", "none"), ("SECRET", "none"), ("NEW", "new")] {
            #expect(try values(of: name, stage) == [value], "\(name)")
        }
    }

    /// A record of an earlier version, which had none.
    @Test func environmentThatWasNotRecorded() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1", variables: ["WHO=first"])
        let (path, text) = try record(stage)
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("environment=") }
        try (lines.joined(separator: "\n") + "\n").write(toFile: path, atomically: false, encoding: .utf8)
        let outcome = try stage.change(["scale", "web", "2"], variables: ["WHO=second"])
        #expect(outcome.errors.contains("the environment of its deploy is not known any more"), "\(outcome.errors)")
        #expect(try values(of: "WHO", stage) == ["first", "second"])
    }

    // MARK: - The directory

    /// A new generation runs where the name leads; a copy that is added, where the others do.
    @Test func nameOfTheDirectory() throws {
        let stage = try Stage(.ordinary)
        let root = stage.box.makeDirectory("srv", owner: stage.deployer)
        for name in ["1", "2"] { _ = stage.box.makeDirectory("srv/\(name)", owner: stage.deployer) }
        let current = "\(root)/current"
        symlink("1", current)
        func directories() throws -> [String] {
            try stage.pids().map { try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\($0)/cwd") }
        }
        try stage.deploy("1", variables: ["PWD=\(current)"], steps: [.changeDirectory(current)])
        #expect(try directories() == ["\(root)/1"])
        unlink(current)
        symlink("2", current)
        try stage.change(["scale", "web", "2"], variables: ["PWD=/"], [.changeDirectory("/")])
        #expect(try directories() == ["\(root)/1", "\(root)/1"])
        #expect(try values(of: "PWD", stage) == [current, "\(root)/1"])
        try stage.change(["migrate", "web"], [.changeDirectory("/")])
        #expect(try directories() == ["\(root)/2", "\(root)/2"])
        #expect(try values(of: "PWD", stage) == [current, current])
        // Copies that are added must not be another version. A new generation may.
        rename("\(root)/2", "\(root)/3")
        unlink(current)
        symlink("3", current)
        let outcome = try stage.change(["scale", "web", "3"], expect: 111)
        #expect(outcome.errors.contains("reuseport-exec migrate starts all of them anew"), "\(outcome.errors)")
        try stage.change(["migrate", "web"])
        #expect(try directories() == ["\(root)/3", "\(root)/3"])
        // A name that leads elsewhere is no name of the directory.
        try stage.deploy("9", copies: 1, variables: ["PWD=\(current)"], steps: [.changeDirectory("\(root)/1")])
        try stage.change(["migrate", "web"])
        #expect(try directories() == ["\(root)/1"])
    }

    // MARK: - Boots

    /// After a boot others may have the pids, even with the same start times.
    @Test func recordsOfAnEarlierBoot() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1")
        let pid = try stage.pid()
        let boot = try String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        let path = "\(stage.runDirectory.text)/web/1-0"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.contains("boot=\(boot)\n"), "\(text)")
        try text.replacingOccurrences(of: boot, with: "00000000-0000-4000-8000-000000000000")
            .write(toFile: path, atomically: false, encoding: .utf8)
        #expect(try stage.verb("count", ["web"]).output.text == "0\n")
        #expect(try stage.reason(of: pid) == "the system was started again")
        _ = try stage.verb("terminate", ["web"])
        #expect(kill(pid, 0) == 0)
    }
}
