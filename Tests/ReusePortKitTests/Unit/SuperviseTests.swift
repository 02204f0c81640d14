import Foundation
import Testing

@testable import ReusePortKit

/// What supervision reads and counts.
@Suite struct SuperviseTests {
    @Test func targets() throws {
        #expect(try parseSupervisionTarget("runit:/etc/service") == .runit("/etc/service"))
        #expect(try parseSupervisionTarget("s6:/run/a:b") == .s6("/run/a:b"))
        #expect(try parseSupervisionTarget("systemd") == .systemd)
        for text in ["", "runit", "runit:", "runit:service", "s6:./x", "upstart:/etc", "systemd:/etc", "Runit:/x"] {
            #expect(throws: Malformed.self, "\(text)") { try parseSupervisionTarget(ByteString(text)) }
        }
    }

    @Test func exitCodes() throws {
        #expect(try parseExitCodes("0,100-110") == [0...0, 100...110])
        #expect(try parseExitCodes("7") == [7...7])
        for text in ["", ",", "1,", "256", "5-3", "1-", "-1", "a", "1-2-3"] {
            #expect(throws: Malformed.self, "\(text)") { try parseExitCodes(ByteString(text)) }
        }
    }

    @Test(
        arguments: [
            (["0"], .exited(0)), (["3", "0"], .exited(3)), (["-1", "11"], .killed(11)), (["-1", "139"], .killed(11)),
            (["256", "9", "web"], .killed(9)), (["3", "0", "web", "77"], .exited(3)), (["111", "0"], .exited(111)),
            (["-1"], nil), (["256", "0"], nil), (["257"], nil), (["x"], nil), (["-1", "x"], nil), ([""], nil),
        ] as [([ByteString], ProcessEnd?)])
    func endings(words: [ByteString], ending: ProcessEnd?) throws {
        #expect((try? ProcessEnd(words: words)) == ending)
    }

    @Test func crashesInARow() {
        var crashes: Crashes?
        var now: UInt64 = 1000
        var pauses: [UInt64] = []
        for _ in 0..<8 {
            crashes = Crashes.after(crashes, start: now, now: now)
            pauses.append(crashes!.pause.count / 1000)
            now += crashes!.pause.count / 1000
        }
        #expect(pauses == [1, 2, 4, 8, 16, 30, 30, 30])
        #expect(crashes?.count == 8 && crashes?.since == 1000)
        // One that ran for a minute begins anew; not one whose launcher failed after the longest pause.
        #expect(Crashes.after(crashes, start: now, now: now + 59).count == 9)
        #expect(Crashes.after(crashes, start: now, now: now + 60) == Crashes(count: 1, since: now + 60, last: now + 60))
        #expect(Crashes.after(crashes, start: 1000, now: now + 59).count == 9)
        // A clock that was set back.
        #expect(Crashes.after(crashes, start: now, now: 5).count == 9)
    }

    @Test func recordsKeepCrashes() throws {
        let record = CopyRecord(
            generation: 3, copy: 1, process: ProcessIdentity(pid: 7, startTime: 8), helper: nil, state: .ended,
            since: 9,
            listeners: [], supervisor: nil, stopSignal: 15, stopTimeout: .seconds(1), nice: nil)
        #expect(try #require(CopyRecord(text: record.text)) == record)
        record.crashes = Crashes(count: 4, since: 1, last: 2)
        #expect(try #require(CopyRecord(text: record.text)) == record)
        let damaged = ByteString(record.text.text.replacingOccurrences(of: "crashes=4 1 2", with: "crashes=4 x 2"))
        #expect(try #require(CopyRecord(text: damaged)).crashes == nil)
    }
}
