import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// Other users of the host, and a target that is hostile itself.
@Suite struct NeighbourTests {
    /// Keys of a login of root's, as pam_keyinit(8) makes it, are not the target's.
    @Test func keyringIsLeft() throws {
        try Tool.requireRoot()
        let box = Sandbox()
        let common = """
            import ctypes, os, sys
            c = ctypes.CDLL(None, use_errno=True)
            join = lambda: c.syscall(\(SYS_keyctl), 1, None)
            """
        let reader = box.write(
            "reader.py", common + "\nprint(c.syscall(\(SYS_request_key), b'user', b'test', None, 0) > 0)\n")
        let login = """

            if join() < 0: sys.exit(77)
            if c.syscall(\(SYS_add_key), b'user', b'test', b'secret', 6, -3) < 0: sys.exit(77)
            os.execvp(sys.argv[1], sys.argv[1:])
            """
        let python = ByteString(try Tool.require("python3"))
        func run(_ words: [ByteString]) throws -> Outcome {
            try box.start(
                program: python.text,
                ["-S", "-E", "-c", ByteString(common + login)] + words + [python, ByteString(reader)]
            ).end()
        }
        let control = try run([])
        if control.exit == 77 { throw try Tool.missing("the kernel keeps no keys") }
        #expect(control.output == "True\n", "\(control.errors)")
        let outcome = try run([ByteString(try box.launcher()), "--user", "nobody", "--"])
        #expect(outcome.output == "False\n", "\(outcome.errors)")
    }

    /// A copy that puts a link in the place of its own name does not lead root's probe to a socket of root's.
    @Test func linkInPlaceOfASocket() throws {
        let stage = try Stage(.privileged, .unix)
        let secret = "\(stage.box.makeDirectory("secret", mode: 0o700))/socket"
        let listener = try Endpoint.bound(.unix(secret))
        let theirs = stage.box.makeDirectory("theirs", owner: 65534)
        stage.otherSocket = "http:unix:\(theirs)/web.sock"
        let script =
            "import os, sys, time; p = sys.argv[1]; os.rename(p, p + '.x'); os.symlink(sys.argv[2], p); time.sleep(600)"
        let outcome = try stage.deploy(
            "1", ["--ready", "http:http:/", "--ready-timeout", "1500ms"],
            command: [
                ByteString(try Tool.require("python3")), "-S", "-E", "-c", ByteString(script), "{path:http}",
                ByteString(secret),
            ], expect: 1)
        #expect(outcome.errors.contains("not ready after"), "\(outcome.errors)")
        var entry = pollfd(fd: listener.fd, events: Int16(POLLIN), revents: 0)
        #expect(poll(&entry, 1, 0) == 0)
    }

    /// The memory of a process is its own to fill, and reading a page of it can wait for ever.
    @Test func noMemoryIsRead() throws {
        let sources = "\(Tool.package)/Sources/ReusePortKit"
        for file in try FileManager.default.subpathsOfDirectory(atPath: sources) where file.hasSuffix(".swift") {
            // Its own command line goes into the history.
            let text = try String(contentsOfFile: "\(sources)/\(file)", encoding: .utf8)
                .replacing("\"self/cmdline\"", with: "")
            for name in ["environ", "cmdline", "mem", "maps"] { #expect(!text.contains("/\(name)\""), "\(file)") }
        }
    }
}
