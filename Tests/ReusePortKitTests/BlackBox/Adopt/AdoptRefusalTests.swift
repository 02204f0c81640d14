import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// Programs that would never ask the library are refused before anything is bound, and so is a library that somebody
/// else may have written.
@Suite struct AdoptRefusalTests {
    let box = Sandbox()
    private let socket: [ByteString] = ["--socket", "web:127.0.0.1:0", "--pass", "adopt"]

    private func refused(
        _ program: String, _ code: Int32 = 100, _ words: String..., location: SourceLocation = #_sourceLocation
    ) throws {
        try expectRefusal([], program, code, words, location)
    }

    private func refused(
        _ options: [ByteString], _ program: String, _ code: Int32 = 100, _ words: String...,
        location: SourceLocation = #_sourceLocation
    ) throws {
        try expectRefusal(options, program, code, words, location)
    }

    private func expectRefusal(
        _ options: [ByteString], _ program: String, _ code: Int32, _ words: [String], _ location: SourceLocation
    ) throws {
        for extra in [[], ["--dry-run"], ["--app", "web", "--run-dir", ByteString(box["run"])]] as [[ByteString]] {
            let app = extra.first == "--app"
            let port = app ? try ReservedPort() : nil
            let socket = port.map { ["--socket", "web:127.0.0.1:\($0.number)", "--pass", "adopt"] } ?? socket
            let outcome = try box.run(extra + socket + options + ["--", ByteString(program)])
            #expect(outcome.exit == code, "\(outcome.errors)", sourceLocation: location)
            expectOneLine(outcome, location)
            for word in words {
                #expect(outcome.errors.contains(word), "\(outcome.errors)", sourceLocation: location)
            }
            #expect(!box.exists("run"), sourceLocation: location)
        }
    }

    private func bytes(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) }

    /// A copy of a dynamically linked program, with what `change` does to it.
    private func copy(_ name: String, mode: mode_t = 0o755, _ change: (inout [UInt8]) -> Void = { _ in }) throws
        -> String
    {
        var content = try bytes("/bin/true")
        change(&content)
        box.write(box[name], content, mode: mode)
        return box[name]
    }

    @Test func unchanged() throws {
        let program = ByteString(try copy("plain"))
        #expect(try box.run(socket + ["--", program]).exit == 0)
        let shown = try box.run(socket + ["--dry-run", "--", program]).output.text
        #expect(shown.contains("\npreload     \(box["bin/reuseport-adopt.so"])\n"), "\(shown)")
        let json = try box.run(socket + ["--dry-run", "--json", "--", program]).output.text
        #expect(json.contains(#""preload":"\#(box["bin/reuseport-adopt.so"])""#), "\(json)")
        #expect(json.contains(#""descriptor":100"#), "\(json)")
    }

    // MARK: Programs

    @Test func linkedStatically() throws {
        let program = try box.target("view")
        try refused(program, 100, "dialect adopt to \(program)", "statically", "--pass")
        // A script of a script of it.
        let inner = box.write("inner", "#!\(program)\n", mode: 0o755)
        try refused(box.write("outer", "#! \(inner) -x\nexit\n", mode: 0o755), 100, "to \(program): ")
        let names = box.write("names", "#!/usr/bin/env -S A=1 view -x\n", mode: 0o755)
        try refused(["--env", "PATH=\(box.path)"], names, 100, "to \(program): ")
        // Where the target will be, and in the PATH that it will have.
        try refused(["--chdir", ByteString(box.path)], "./view", 100, "to \(box.path)/./view: ")
        try refused(["--env", "PATH=\(box.path)"], "view", 100, "to \(program): ")
    }

    @Test func configurationAndDeploy() throws {
        let port = try ReservedPort()
        box.write(
            "config", "socket: web:127.0.0.1:\(port.number)\npass: adopt\ncommand: \(try box.target("view"))\n")
        let config: [ByteString] = ["--config", ByteString(box["config"])]
        for words in [config, ["deploy", "web", "--run-dir", ByteString(box["run"])] + config] as [[ByteString]] {
            let outcome = try box.run(words)
            #expect(outcome.exit == 100)
            expectOneLine(outcome)
            #expect(outcome.errors.contains("statically"), "\(outcome.errors)")
        }
        #expect(!box.exists("run"))
    }

    @Test func others() throws {
        let loader = Array("/ld-linux".utf8)
        let musl = try copy("musl") { content in
            guard let at = content.firstRange(of: loader)?.lowerBound else { return }
            content.replaceSubrange(at..<at + loader.count, with: Array("/ld-musl-".utf8))
        }
        try refused(musl, 100, "its loader is /", "ld-musl-")
        try refused(try copy("machine") { $0[18] ^= 0x55 }, 100, "another processor")
        try refused(try copy("class") { $0[4] = 1 }, 100, "another processor")
        try refused(["--chroot", "/"], "/bin/true", 100, "outside")
        try refused(box["missing"], 127, "no such file")
    }

    /// What Go's linker leaves behind, even where it has asked another linker for help.
    @Test func go() throws {
        let compiler = try Tool.require("cc")
        for (number, section) in [".go.buildinfo", ".note.go.buildid"].enumerated() {
            let source = box.write(
                "go.c", "__attribute__((section(\"\(section)\"), used)) static int x = 1; int main(void) { return !x; }"
            )
            let program = box["go-\(number)"]
            #expect(try Sandbox.plainRun([compiler, "-o", program, source]).exit == 0)
            try refused(program, 100, "Go")
        }
    }

    @Test func gainingRights() throws {
        try Tool.requireRoot()
        let user: [ByteString] = ["--user", "nobody"]
        let program = try copy("rights", mode: 0o4755)
        try refused(user, program, 100, "gains rights")
        // Nothing is gained by those who have them, or who may not gain any.
        #expect(try box.run(socket + ["--", ByteString(program)]).exit == 0)
        #expect(try box.run(socket + user + ["--no-new-privs", "--", ByteString(program)]).exit == 0)
        chmod(program, 0o2755)
        try refused(user, program, 100, "gains rights")
        #expect(chmod(program, 0o755) == 0)
        #expect(try box.run(socket + user + ["--", ByteString(program)]).exit == 0)
        // VFS_CAP_REVISION_2, with CAP_NET_BIND_SERVICE permitted.
        let capability: [UInt8] = [0, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        guard setxattr(program, "security.capability", capability, capability.count, 0) == 0 else {
            throw try Tool.missing("no file capabilities here")
        }
        try refused(user, program, 100, "gains rights")
        try refused(user + ["--no-new-privs"], program, 100, "gains rights")
    }

    /// Files that lie about themselves are looked at, and whatever is made of them, it is said in one line or executed.
    @Test func hostileFiles() throws {
        let original = try bytes("/bin/true")
        var made: [[UInt8]] = [0, 1, 2, 3, 4, 20, 63, 64, 65, 100, 119, 120, 300].map { Array(original.prefix($0)) }
        for offset in [32, 40, 54, 56, 58, 60, 62, 64, 72, 96, 104] {
            for value in [0, 0x7F, 0x80, 0xFF] as [UInt8] {
                var content = original
                for index in offset..<offset + (offset < 54 ? 8 : 2) { content[index] = value }
                made.append(content)
            }
        }
        made.append(Array("#!".utf8))
        made.append(Array("#!   \t \n".utf8))
        made.append(Array("#!\(String(repeating: "x", count: 300))".utf8))
        made.append(Array("#!/usr/bin/env".utf8))
        made.append(Array("#!\(box["hostile"])\n".utf8))
        for content in made {
            box.write(box["hostile"], content, mode: 0o755)
            let outcome = try box.run(socket + ["--dry-run", "--", ByteString(box["hostile"])])
            #expect([0, 100, 111, 126, 127].contains(outcome.exit ?? -1), "\(content.prefix(120)) \(outcome)")
        }
        mkfifo(box["pipe"], 0o755)
        #expect(try box.run(socket + ["--dry-run", "--", ByteString(box["pipe"])]).exit != nil)
    }

    // MARK: The library

    @Test func libraryMissing() throws {
        _ = try box.launcher()
        unlink(box["bin/reuseport-adopt.so"])
        try refused("/bin/true", 111, "find \(box["lib/reuseport-exec/reuseport-adopt.so"])", "make install")
        // As it is installed.
        _ = box.makeDirectory("lib")
        _ = box.makeDirectory("lib/reuseport-exec")
        let library = "\(Tool.package)/.build/embedded/release/reuseport-adopt.so"
        box.write(box["lib/reuseport-exec/reuseport-adopt.so"], try bytes(library), mode: 0o644)
        #expect(try box.run(socket + ["--", "/bin/true"]).exit == 0)
    }

    @Test func libraryOfOthers() throws {
        try Tool.requireRoot()
        _ = try box.launcher()
        let library = box["bin/reuseport-adopt.so"]
        let user: [ByteString] = ["--user", "nobody"]
        chmod(library, 0o600)
        try refused(user, "/bin/true", 111, "may not read it")
        #expect(try box.run(socket + ["--", "/bin/true"]).exit == 0)
        chmod(library, 0o646)
        try refused(user, "/bin/true", 111, "others than root may write to \(library)")
        chmod(library, 0o644)
        chown(library, 65534, 0)
        try refused(user, "/bin/true", 111, "others than root may write to \(library)")
        chown(library, 0, 0)
        chmod(box["bin"], 0o757)
        try refused(user, "/bin/true", 111, "others than root may write to \(box["bin"])")
        chmod(box["bin"], 0o1777)
        #expect(try box.run(socket + user + ["--", "/bin/true"]).exit == 0)
        chmod(box["bin"], 0o750)
        try refused(user, "/bin/true", 111, "may not read it")
        chmod(box["bin"], 0o755)
        rename(library, box["elsewhere"])
        symlink(box["elsewhere"], library)
        try refused(user, "/bin/true", 111, "symbolic link")
    }

    @Test func pathThatCannotBeSaid() throws {
        let launcher = try box.launcher()
        for name in ["a b", "a:b", "a$b"] {
            _ = box.makeDirectory(name)
            for file in ["reuseport-exec", "reuseport-adopt.so"] {
                box.write(box["\(name)/\(file)"], try bytes("\(box["bin"])/\(file)"), mode: 0o755)
            }
            let outcome = try box.start(program: "\(box[name])/reuseport-exec", socket + ["--", "/bin/true"]).end()
            #expect(outcome.exit == 111)
            #expect(outcome.errors.contains("cannot hold a path"), "\(outcome.errors) \(launcher)")
        }
    }

    // MARK: Variables

    @Test func environment() throws {
        let own = box["bin/reuseport-adopt.so"]
        func preload(_ options: [ByteString], _ caller: [ByteString] = []) throws -> String {
            let outcome = try box.run(
                socket + options + ["--", "/bin/sh", "-c", "echo \"$LD_PRELOAD\""],
                environment: Sandbox.environment + caller)
            return outcome.output.text
        }
        #expect(try preload([]) == "\(own)\n")
        #expect(try preload([], ["LD_PRELOAD=libc.so.6"]) == "\(own):libc.so.6\n")
        #expect(try preload(["--clear-env"], ["LD_PRELOAD=libc.so.6"]) == "\(own)\n")
        #expect(try preload(["--env", "LD_PRELOAD=libm.so.6"], ["LD_PRELOAD=libc.so.6"]) == "\(own):libm.so.6\n")
        let said = try box.run(socket + ["--env", "REUSEPORT_EXEC_ADOPT=3", "--", "/bin/true"])
        #expect(said.exit == 100)
        let stale = try box.run(
            ["--", "/usr/bin/env"], environment: Sandbox.environment + ["REUSEPORT_EXEC_ADOPT=3:1:1:0:;"])
        #expect(!stale.output.text.contains("ADOPT"))
        // Nonsense in it is nothing in it.
        for value in ["", ";", "3", "3:4", "3:4:5:9999999999:x;", "-1:4:5:0:;", "3:4:5:1:;", ":::::", "3:4:5:0:"] {
            let outcome = try box.start(
                program: "/bin/echo", ["ran"],
                environment: Sandbox.environment + [
                    "LD_PRELOAD=\(own)", ByteString("REUSEPORT_EXEC_ADOPT=\(value)"),
                ]
            ).end()
            #expect(outcome.output.text == "ran\n" && outcome.errors == "", "\(value) \(outcome)")
        }
    }
}
