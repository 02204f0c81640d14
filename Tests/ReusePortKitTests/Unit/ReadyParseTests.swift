import Testing

@testable import ReusePortKit

struct ReadyParseTests {
    @Test(
        arguments: [
            ("accept", Readiness.accept), ("notify", .notify), ("none", .none), ("ipc", .message),
            ("fd:3", .descriptor(3)),
            ("http:web:/health?a=b:c", .http(socket: "web", path: "/health?a=b:c")),
            ("exec:test -e /run/x", .command("test -e /run/x")),
        ] as [(ByteString, Readiness)])
    func understood(text: ByteString, readiness: Readiness) throws {
        #expect(try parseReadiness(text) == readiness)
    }

    @Test(
        arguments: [
            ("", 0), ("Accept", 0), ("ipcx", 0), ("fd:2", 3), ("fd:", 3), ("fd:-3", 3), ("fd:9999999999", 3),
            ("exec: ", 5),
            ("http:/x", 5), ("http::/x", 5), ("http:web:x", 9), ("http:web:/a b", 11), ("http:web:/a\r\nX: y", 11),
        ] as [(ByteString, Int)])
    func refused(text: ByteString, offset: Int) {
        do throws(Malformed) {
            _ = try parseReadiness(text)
            Issue.record("was understood")
        } catch {
            #expect(error.offset == offset)
        }
    }
}
