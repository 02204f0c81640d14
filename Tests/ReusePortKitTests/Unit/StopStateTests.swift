import CLinux
import Testing

@testable import ReusePortKit

/// The table by which copies are stopped, and what is kept of it.
@Suite struct StopStateTests {
    private static let soon = ReusePortKit.Deadline(moment: 1)
    private static let why = KillReason.descendantsListened([ListenerLabel(name: "http", address: "127.0.0.1:80")])

    private func step(
        _ state: StopState, _ sight: StopSight, isLate: Bool = false, hasMessage: Bool = false,
        keepsFinishing: Bool = false
    ) -> StopStep {
        state.step(seeing: sight, isLate: isLate, hasMessage: hasMessage, keepsFinishing: keepsFinishing)
    }

    @Test func asked() {
        let asked = StopState.asked(until: Self.soon)
        #expect(step(asked, .gone) == .finish(.exited))
        #expect(step(asked, .listening) == .handOn)
        #expect(step(asked, .listening, isLate: true, keepsFinishing: true) == .revoke)
        #expect(step(asked, .closed) == .wait)
        #expect(step(asked, .closed, isLate: true) == .revoke)
        #expect(step(asked, .closed, keepsFinishing: true) == .finish(.retired))
        #expect(step(asked, .closed, hasMessage: true, keepsFinishing: true) == .sendNextMessage)
        #expect(step(asked, .closed, isLate: true, hasMessage: true, keepsFinishing: true) == .finish(.retired))
        #expect(step(asked, .abandoned) == .handOn)
        #expect(step(asked, .abandoned, isLate: true) == .revoke)
    }

    @Test func foundEnded() {
        #expect(step(.foundEnded, .gone) == .finish(.alreadyGone))
        // At once, for nobody was asked to close anything.
        #expect(step(.foundEnded, .abandoned) == .takeAway)
    }

    @Test func killed() {
        let killing = StopState.revoking(Self.why, until: Self.soon)
        #expect(step(killing, .gone) == .finish(.killed(Self.why)))
        #expect(step(killing, .closed, hasMessage: true, keepsFinishing: true) == .wait)
        // A holder can listen again.
        #expect(step(killing, .listening) == .revoke)
        #expect(step(killing, .abandoned) == .revoke)
        for sight in [StopSight.listening, .closed, .abandoned] {
            #expect(step(killing, sight, isLate: true, keepsFinishing: true) == .giveUp)
        }
    }

    @Test func heirsAreKilled() {
        let beside = StopState.revoking(nil, until: Self.soon)
        #expect(step(beside, .closed, keepsFinishing: true) == .finish(.retired))
        #expect(step(beside, .closed) == .revoke)
        #expect(step(beside, .listening, keepsFinishing: true) == .revoke)
        #expect(step(beside, .listening, isLate: true, keepsFinishing: true) == .giveUp)
        #expect(step(beside, .gone) == .finish(.exited))
    }

    @Test func finished() {
        for sight in [StopSight.listening, .closed, .abandoned, .gone] {
            #expect(step(.finished(.retired), sight, isLate: true) == .wait)
        }
    }

    // MARK: - In the registry

    private static let listeners = [
        ListenerLabel(name: "http", address: "127.0.0.1:80"), ListenerLabel(name: "a b", address: "/run/x y.sock"),
    ]

    @Test(
        arguments: [
            (
                .stillRan(KillReason.Overdue(time: .seconds(30), request: .signal(SIGTERM))),
                "it still ran 30s after TERM"
            ),
            (
                .stillListened(listeners, KillReason.Overdue(time: Milliseconds(5), request: .message("{\"a\": 1}"))),
                "it still listened on http 127.0.0.1:80, a b /run/x y.sock 5ms after {\"a\": 1}"
            ),
            (
                .descendantsListened(listeners),
                "it had ended, but processes that it had started still listened on http 127.0.0.1:80, a b /run/x y.sock"
            ),
        ] as [(KillReason, ByteString)])
    func killReason(reason: KillReason, words: ByteString) throws {
        #expect(reason.description == words)
        var file = RegistryText()
        file.add("why", list: reason.fields)
        let fields = try #require(RegistryText(file.text)?.fields("why"))
        #expect(KillReason(fields: fields) == reason)
    }

    @Test(
        arguments: [
            [], [""], ["ran"], ["ran", "x", "signal", "15"], ["ran", "1", "signal", "99"], ["ran", "1", "other", "1"],
            ["ran", "1", "signal", "15", "more"], ["listened", "1", "signal", "15"],
            ["listened", "1", "signal", "15", "http"], ["descendants"], ["descendants", "http"], ["walked", "1"],
        ] as [[ByteString]])
    func damaged(fields: [ByteString]) { #expect(KillReason(fields: fields) == nil) }

    @Test(
        arguments: [
            OutOfMemory(), OutOfMemory(copyLimit: 1 << 20), OutOfMemory(appLimit: 1 << 30),
            OutOfMemory(copyLimit: 1 << 20, appLimit: 1 << 30),
        ])
    func outOfMemory(reason: OutOfMemory) {
        #expect(OutOfMemory(fields: reason.fields) == reason)
        #expect(reason.description.text.hasPrefix("killed by the kernel: "))
    }

    @Test func damagedOutOfMemory() {
        for fields in [[], [""], ["x", ""], ["1", "2", "3"]] as [[ByteString]] {
            #expect(OutOfMemory(fields: fields) == nil)
        }
    }
}
