import Testing

@testable import ReusePortKit

struct ReadyParseTests {
    @Test(
        arguments: [
            ("accept", Readiness.accept), ("notify", .notify), ("none", .none), ("ipc", .message),
            ("ack", .acknowledgement),
            ("fd:3", .descriptor(3)),
            (
                "http:web:/health?a=b:c",
                .http(HTTPCheck(text: "http:web:/health?a=b:c", socket: "web", path: "/health?a=b:c"))
            ),
            ("exec:test -e /run/x", .command("test -e /run/x")),
            (
                "https:web:/x,status=401",
                .http(
                    HTTPCheck(
                        text: "https:web:/x,status=401", socket: "web", path: "/x", isTLS: true, lowestStatus: 401,
                        highestStatus: 401))
            ),
            (
                "http:web:/x,host=example.org,status=200-499,proxy",
                .http(
                    HTTPCheck(
                        text: "http:web:/x,host=example.org,status=200-499,proxy", socket: "web", path: "/x",
                        host: "example.org", highestStatus: 499, proxy: 1))
            ),
            (
                "http:web:/,proxy=2",
                .http(HTTPCheck(text: "http:web:/,proxy=2", socket: "web", path: "/", proxy: 2))
            ),
        ] as [(ByteString, Readiness)])
    func understood(text: ByteString, readiness: Readiness) throws {
        #expect(try parseReadiness(text) == readiness)
    }

    @Test(
        arguments: [
            ("", 0), ("Accept", 0), ("ipcx", 0), ("fd:2", 3), ("fd:", 3), ("fd:-3", 3), ("fd:9999999999", 3),
            ("exec: ", 5),
            ("http:/x", 5), ("http::/x", 5), ("http:web:x", 9), ("http:web:/a b", 11), ("http:web:/a\r\nX: y", 11),
            ("http:web:/a,b", 12), ("http:web:/a,host=", 12), ("https:web:/a,host=a b", 19), ("https:web:a", 10),
            ("http:web:/,status=1", 11), ("http:web:/,status=500-400", 11), ("http:web:/,status=2xx", 11),
            ("http:web:/,proxy=3", 11), ("http:web:/,proxy=", 11), ("http:web:/,status", 11), ("http:web:/,host", 11),
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
