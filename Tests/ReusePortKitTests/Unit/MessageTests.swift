import CLinux
import Testing

@testable import ReusePortKit

/// What comes through a Node channel, taken apart.
@Suite struct MessageTests {
    private func lines(_ pieces: [String]) -> [String] {
        var lines = MessageLines()
        return pieces.flatMap { lines.take(Array($0.utf8)[...]).map(\.text) }
    }

    @Test(
        arguments: [
            (["a\n"], ["a"]), (["a\nb\n"], ["a", "b"]), (["a", "b", "\n"], ["ab"]),
            (["a\nb", "c\n\n"], ["a", "bc", ""]),
            (["a"], []), ([], []),
        ] as [([String], [String])])
    func cut(pieces: [String], expected: [String]) { #expect(lines(pieces) == expected) }

    @Test func tooLong() {
        let long = String(repeating: "x", count: MessageLines.longest)
        #expect(lines([long + "\n", "a\n"]) == [long, "a"])
        #expect(lines([long, "x\na\n"]) == ["a"])
        #expect(lines((0..<100).map { _ in long } + ["\nb\n"]) == ["b"])
    }

    @Test(
        arguments: [
            "{}", "[]", "\"\"", "0", "-1.5e+3", "true", " { \"a\" : [ 1 , { } , null ] } ", #""\u00e9\n\"""#, "[[]]",
            #"{"event":"stop"}"#, "\"\u{e9}\"",
        ])
    func json(text: String) { #expect(isJSON(ByteString(text))) }

    @Test(
        arguments: [
            "", "{", "}", "[1,]", "{\"a\"}", "{\"a\":}", "{a:1}", "{'a':1}", "{\"a\":1,}", "01", "1.", "-", "tru",
            "truex",
            "\"", "\"\\x\"", "\"\\u12g4\"", "\"a\nb\"", "1 2", "[1}", "\"\\", String(repeating: "[", count: 100_000),
        ])
    func noJSON(text: String) { #expect(!isJSON(ByteString(text))) }

    @Test func jsonIsUTF8() { #expect(!isJSON(ByteString([0x22, 0xFF, 0x22]))) }

    @Test func membersOfObjects() {
        let text: ByteString = #" {"a" : 1, "b":{"c":[2,"}"]},"d":"\"" } "#
        for (key, value) in [("a", "1"), ("b", #"{"c":[2,"}"]}"#), ("d", #""\"""#), ("c", "")]
            as [(ByteString, ByteString)]
        {
            #expect(member(key, ofJSON: text) == value)
        }
        for text in ["[]", "\"a\"", "{\"a\":", "{\"b\":{\"a\":1}}", "{a:1}", "", "{}"] as [ByteString] {
            #expect(member("a", ofJSON: text) == "")
        }
    }
}

/// What the kernel does for a channel that nobody reads.
@Suite struct ChannelKernelTests {
    private struct Pair: ~Copyable {
        let near: Descriptor
        let far: Descriptor

        init() throws {
            let pair = try openChannel()
            near = Descriptor(owning: pair.near)
            far = Descriptor(owning: pair.far)
        }
    }

    private func write(_ size: Int, to socket: borrowing Descriptor) -> Errno? {
        let bytes = [UInt8](repeating: 120, count: size)
        return CLinux.send(socket.number, bytes, size, Int32(MSG_DONTWAIT)) == size ? nil : .current
    }

    @Test func nothingPilesUp() throws {
        let pair = try Pair()
        // What has come before goes as well.
        for _ in 0..<10 { #expect(write(1000, to: pair.near) == nil) }
        try swallowMessages(to: pair.far)
        for _ in 0..<100_000 { #expect(write(1000, to: pair.near) == nil) }
        let left = reason { () throws(Errno) in _ = try receive(pair.far, atMost: 10) }
        #expect(left == .again)
        // The other way is open.
        try send("\"stop\"", through: pair.far.number)
        #expect(try receive(pair.near, atMost: 100) == "\"stop\"\n")
    }

    /// A control: without the filter, the sender has to wait.
    @Test func withoutFilterItPilesUp() throws {
        let pair = try Pair()
        var reason: Errno?
        for _ in 0..<100_000 where reason == nil { reason = write(1000, to: pair.near) }
        #expect(reason == .again)
    }

    /// The manual says how long a message may be.
    @Test func longMessages() throws {
        let pair = try Pair()
        try swallowMessages(to: pair.far)
        let room = Int(try option(pair.near, SOL_SOCKET, SO_SNDBUF))
        #expect(room >= 400_000)
        #expect(write(400_000, to: pair.near) == nil)
        #expect(write(room, to: pair.near) == Errno(rawValue: EMSGSIZE))
    }

    /// The program closes its end: there is an end to throwing away.
    @Test func closedChannel() throws {
        let pair = try openChannel()
        let far = Descriptor(owning: pair.far)
        close(pair.near)
        // What other tests fork meanwhile has the other end open until its exec.
        let isClosed = try waitForEvents(0, on: far, until: ReusePortKit.Deadline(after: .seconds(10)))
        #expect(isClosed)
        try swallowMessages(to: far)
        let problem = reason { () throws(Errno) in try send("1", through: far.number) }
        #expect(problem == Errno(rawValue: EPIPE))
    }

    /// The channel of a process, and not what else it has there.
    @Test func borrowed() throws {
        let pair = try Pair()
        let own = try ProcessHandle(to: getpid())
        let cookie = try socketCookie(of: pair.far)
        try send("1", through: ChannelRecord(number: pair.far.number, cookie: cookie), of: own)
        #expect(try receive(pair.near, atMost: 10) == "1\n")
        let file = try open("/dev/null", O_RDWR)
        for (number, expected) in [
            (pair.near.number, ENOENT), (file.number, ENOENT), (9999, EBADF),
        ] as [(Int32, Int32)] {
            let problem = reason { () throws(Errno) in
                try send("1", through: ChannelRecord(number: number, cookie: cookie), of: own)
            }
            #expect(problem == Errno(rawValue: expected))
        }
    }
}
