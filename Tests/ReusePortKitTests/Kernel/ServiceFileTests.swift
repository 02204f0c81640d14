import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// Services as they are written for supervisors, and read by those whom they are for.
@Suite struct ServiceFileTests {
    private let box = Sandbox()

    private static let words: [ByteString] = [
        "plain", "", "two words", "it's", "a\"b", "$HOME", "`id`", "back\\slash", "line\nbreak", "tab\there", "%n%%",
        "100%", ";", "-x", "ümlaut", ByteString([0xFF, 0x01, 0x7F, 0x27]), "*", "~", "#", "$$", "\\x41", "'", "!",
        "a\\",
    ]

    @Test func shellReadsWhatWasQuoted() throws {
        let outcome = try box.start(
            program: "/bin/sh", ["-c", "printf '%s\\0' \(quotedForShell(Self.words))"]
        ).end()
        #expect(outcome.output == ByteString(Self.words.flatMap { $0.bytes + [0] }))
    }

    @Test func unitsReadWhatWasQuoted() throws {
        let line = quotedForUnit(Self.words)
        #expect(!line.contains(UInt8(ascii: "\n")) && line.isUTF8)
        let outcome = try box.start(
            program: try Tool.require("python3"),
            ["-S", "-E", ByteString(try box.target("systemctl.py")), "split", line]
        ).end()
        #expect(outcome.output == ByteString(Self.words.flatMap { $0.bytes + [0] }), "\(outcome.errors)")
        #expect(writtenForUnit(path: "/a b/50%") == "/a b/50%%")
        for path in ["/a\nb", "/a ", "/a\\"] as [ByteString] { #expect(writtenForUnit(path: path) == nil) }
    }

    static func service(_ label: ByteString = "green", copy: Int = 0) -> Service {
        Service(
            app: "web", label: label, copy: copy, command: ["/usr/bin/env", "--app", "web", "--", "/bin/echo", "a b"],
            workingDirectory: "/tmp")
    }

    private func scan(_ name: String = "scan") -> (path: String, target: SupervisionTarget) {
        let path = box.makeDirectory(name)
        return (path, .runit(ByteString(path)))
    }

    private func service(_ label: ByteString = "green", copy: Int = 0) -> Service {
        let service = Self.service(label, copy: copy)
        service.logDirectory = ByteString(box["logs"])
        return service
    }

    private func names(_ path: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path).sorted()
    }

    /// A supervisor that was started just before its directory was hidden writes into that for a moment.
    @Test func whatIsWrittenMeanwhileIsRemovedToo() throws {
        let (path, _) = scan()
        let folder = "\(path)/.web-1-0.7.old/supervise"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        @Sendable func write(_ number: Int) -> Bool {
            let file = open("\(folder)/\(number)", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
            return file >= 0 && close(file) == 0
        }
        // It takes a while to remove these.
        for number in 0..<2000 { _ = write(number) }
        Thread { for number in 2000..<20000 where !write(number) { return } }.start()
        try waitUntil("it writes") { FileManager.default.fileExists(atPath: "\(folder)/2000") }
        let scan = try ScanDirectory.open(ByteString(path), isS6: true)
        try removeHidden(".web-1-0.7.old", from: scan, patience: patience)
        #expect(try names(path) == [])
    }

    @Test(arguments: SupervisorKind.allCases) func directories(kind: SupervisorKind) throws {
        let (path, _) = scan()
        try writeService(service(), on: kind.target(path))
        #expect(try names(path) == ["web-green-0"])
        let mine = "\(path)/web-green-0"
        let expected = [".reuseport-exec", "finish", "log", "run"]
        #expect(
            try names(mine)
                == (expected + (kind == .s6 ? ["notification-fd", "timeout-finish"] : ["check"])).sorted())
        for (name, mode) in [
            (mine, 0o755), ("\(mine)/run", 0o700), ("\(mine)/log/run", 0o700),
            ("\(mine)/.reuseport-exec", 0o644), (box["logs"], 0o755), (box["logs/green-0"], 0o750),
        ] as [(String, mode_t)] {
            #expect(try #require(box.status(name)).st_mode & 0o7777 == mode, "\(name)")
        }
        #expect(try supervisedCopies(app: "web", on: kind.target(path)).map { $0.label } == ["green"])
        #expect(try supervisedCopies(app: "we", on: kind.target(path)).isEmpty)
        // Again, for it does not run; and gone.
        try writeService(service(), on: kind.target(path))
        try removeServices(app: "web", on: kind.target(path)) { _, copy in copy == 1 }
        #expect(try names(path) == ["web-green-0"])
        try removeServices(app: "web", on: kind.target(path)) { _, _ in true }
        #expect(try names(path) == [])
    }

    @Test func strangersAreRefused() throws {
        let (path, target) = scan()
        mkdir("\(path)/web-green-0", 0o755)
        #expect(throws: Failure.self) { try writeService(service(), on: target) }
        rmdir("\(path)/web-green-0")
        // Another service's name that reads the same.
        let other = service("green")
        (other.app, other.label) = ("web-green", "0")
        other.copy = 0
        try writeService(other, on: target)
        rename("\(path)/web-green-0-0", "\(path)/web-green-0")
        #expect(throws: Failure.self) { try writeService(service(), on: target) }
        try removeServices(app: "web", on: target) { _, _ in true }
        #expect(try names(path) == ["web-green-0"])
        // A directory that others may write to, and links of theirs.
        chmod(path, 0o777)
        #expect(throws: Failure.self) { try writeService(service("blue"), on: target) }
        chmod(path, 0o755)
        #expect(throws: Failure.self) { try writeService(service("blue"), on: .runit("/nonexistent/service")) }
        #expect(throws: Failure.self) { try startServices([service()], on: .s6(ByteString(path))) }
    }

    @Test func directoriesOfOthersAreRefused() throws {
        try Tool.requireRoot()
        let (path, target) = scan()
        symlink(path, box["link"])
        lchown(box["link"], 65534, 65534)
        #expect(throws: Failure.self) { try writeService(service("blue"), on: .runit(ByteString(box["link"]))) }
        chown(path, 65534, 65534)
        #expect(throws: Failure.self) { try writeService(service("blue"), on: target) }
    }

    @Test func removalFollowsNoLinks() throws {
        let (path, target) = scan()
        let precious = box.makeDirectory("precious")
        box.write("precious/file", "x")
        try writeService(service(), on: target)
        symlink(precious, "\(path)/web-green-0/env")
        symlink("\(precious)/file", "\(path)/web-green-0/log/link")
        mkdir("\(path)/web-green-0/supervise", 0o700)
        symlink("/nonexistent", "\(path)/web-green-0/supervise/x")
        try removeServices(app: "web", on: target) { _, _ in true }
        #expect(try names(path) == [])
        #expect(box.exists("precious/file"))
        // A link in a service's place is not a directory of ours, whatever it leads to.
        try writeService(service(), on: .runit(ByteString(box.makeDirectory("other"))))
        symlink(box["other/web-green-0"], "\(path)/web-green-0")
        try removeServices(app: "web", on: target) { _, _ in true }
        #expect(box.exists("other/web-green-0/run") && box.exists("\(path)/web-green-0"))
    }

    @Test func leftoversAreSweptUp() throws {
        let (path, target) = scan()
        try writeService(service("old"), on: target)
        try writeService(service("young"), on: target)
        let past = [timeval(tv_sec: 1000, tv_usec: 0), timeval(tv_sec: 1000, tv_usec: 0)]
        // Killed while removing, while writing, before the marker was written; and things that are not ours.
        rename("\(path)/web-old-0", "\(path)/.web-old-0.12.old")
        rename("\(path)/web-young-0", "\(path)/.web-young-0.12.new")
        for name in [".web-x-0.12.new", ".web-mine.old", ".web-"] { mkdir("\(path)/\(name)", 0o755) }
        box.write("scan/.web-mine.old/file", "x")
        for name in [".web-old-0.12.old", ".web-x-0.12.new", ".web-mine.old"] { utimes("\(path)/\(name)", past) }
        try removeServices(app: "web", on: target) { _, _ in false }
        #expect(try names(path) == [".web-", ".web-mine.old", ".web-young-0.12.new"])
        utimes("\(path)/.web-young-0.12.new", past)
        try writeService(service(), on: target)
        #expect(try names(path) == [".web-", ".web-mine.old", "web-green-0"])
    }

    /// The status files are read as the supervisors' own tools read them.
    @Test(arguments: SupervisorKind.allCases) func statusFiles(kind: SupervisorKind) throws {
        let runner = try RetireService(kind == .runit ? .runit : .s6, "obey", in: box)
        func status() throws -> ServiceStatus? {
            let bytes = FileManager.default.contents(atPath: "\(runner.directory)/supervise/status")
            return bytes.flatMap { ServiceStatus([UInt8]($0), isS6: kind == .s6) }
        }
        let pid = try runner.copy().process.pid
        try waitUntil("it is up") { try status()?.pid == pid }
        #expect(try status()?.isWantedUp == true)
        #expect(try runner.status().contains("\(pid)"))
        #expect(runner.name.status == (try status()))
        try runner.name.keepDown()
        try waitUntil("it is not wanted") { try status()?.isWantedUp == false }
        #expect(try status()?.pid == pid)
        kill(pid, SIGKILL)
        try waitUntil("it is down") { try status()?.pid == nil && runner.isDown }
    }

    /// Judged by what it says of our unit: it reads those of the machine's packages as well.
    @Test func systemdAcceptsUnits() throws {
        let analyze = try Tool.require("systemd-analyze")
        let service = service("v1.2_3-x", copy: 7)
        (service.permanent, service.onExit) = ("0,100-103", "echo \"$REUSEPORT_EXEC_REASON\" | mail -s '100%' root")
        service.command += Self.words
        let text = service.unit(workingDirectory: "/tmp").text
        func verified(_ name: String, _ text: String) throws -> [Substring] {
            let outcome = try Sandbox.plainRun([analyze, "verify", box.write(name, text)])
            return complaints(about: name, outcome.errors)
        }
        #expect(try verified("reuseport-exec-web.service", text) == [])
        // Of what is wrong it does say something.
        for flaw in ["ExecStart=relative\n", "NoSuchSetting=1\n", "RestartSec=soon\n"] {
            #expect(try verified("bad.service", text + flaw) != [], "\(flaw)")
        }
    }
}
