import Foundation
import Testing

@testable import ReusePortKit

/// The harness itself: a test that cannot see a difference proves nothing.
@Suite struct HarnessTests {
    @Test func viewSeesTheState() throws {
        let box = Sandbox()
        let program = try box.target("view")
        let raw = ByteString([0xFF, 0x20, 0x0A])
        let process = try box.start(
            program: program, [raw], environment: ["A=\(raw)", "no equals sign"],
            [.ignore(13), .block(10), .umask("027"), .open(9, "/dev/zero"), .close(0), .name("other")])
        let outcome = try process.end()
        let view = try View(outcome.output)
        #expect(view.arguments == ["other", raw])
        #expect(view.environment == ["A=\(raw)", "no equals sign"])
        #expect(view.descriptors == [1, 2, 9])
        #expect(view.link(9) == "/dev/zero")
        #expect(view.umask == "027")
        #expect(view.status("SigIgn") == "0000000000001000")
        #expect(view.status("SigBlk") == "0000000000000200")
        #expect(view.pid == "\(outcome.pid)")
        #expect(outcome.exit == 0)
    }

    @Test func endsWhatItStarted() throws {
        var pid: pid_t = 0
        var path = ""
        do {
            let box = Sandbox()
            path = box.path
            let process = try box.start(program: "/bin/sh", ["-c", "sleep 1000 & echo $!; wait"])
            pid = pid_t(try #require(try process.line())) ?? 0
            #expect(kill(pid, 0) == 0)
        }
        try waitUntil("the grandchild has gone") { kill(pid, 0) != 0 || state(of: pid) == "Z" }
        #expect(access(path, F_OK) != 0)
    }
}
