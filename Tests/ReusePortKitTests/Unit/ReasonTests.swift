import Testing

@testable import ReusePortKit

/// Why copies and generations ended, as the registry keeps it.
@Suite struct ReasonTests {
    private static let reasons: [EndReason] = [
        .unknown, .toldToStop, EndReason(.ended(.exited(7))), EndReason(.ended(.exited(0)), "stay in the foreground"),
        EndReason(.ended(.killed(11))), EndReason(.killed, "it still ran 30s after TERM"),
        EndReason(.outOfMemory(OutOfMemory(copyLimit: 1 << 20))),
        EndReason(.outOfMemory(OutOfMemory(appLimit: 2 << 20))),
        EndReason(.launch, "unable to execute x: no such file or directory"), EndReason(.notReady, "no answer"),
        EndReason(.notStopped, "pid 7 still runs"), EndReason(.interrupted(15)), EndReason(.handoff, "a b%c\nd"),
    ]

    private static let outcomes: [GenerationOutcome] =
        [
            .none, .recovered, .replaced(by: "green"), .ended(by: "terminate"), .copiesEnded, .orphaned,
            .incomplete(present: 1, wanted: 3), .notStarted, .other("what an earlier version wrote"),
        ] + reasons.flatMap { [.failed(copy: 0, $0), .failed(copy: nil, $0)] }

    private func record(_ reason: EndReason?) -> CopyRecord {
        let record = CopyRecord(
            generation: 3, copy: 1, process: ProcessIdentity(pid: 7, startTime: 8), helper: nil, state: .ended,
            since: 9, listeners: [], supervisor: nil, stopSignal: 15, stopTimeout: .seconds(1), nice: nil)
        record.reason = reason
        return record
    }

    @Test(arguments: reasons) func ofCopies(reason: EndReason) throws {
        #expect(EndReason(fields: reason.fields) == reason)
        #expect(CopyRecord(text: record(reason).text)?.reason == reason)
    }

    @Test(arguments: outcomes) func ofGenerations(outcome: GenerationOutcome) throws {
        #expect(GenerationOutcome(fields: outcome.fields) == outcome)
        let app = AppRecord()
        app.lastID = 4
        app.generations = [
            GenerationRecord(
                id: 4, label: "blue", copies: 2, bank: .second, balance: .random, state: .failed, since: 5,
                outcome: outcome)
        ]
        #expect(AppRecord(text: app.text) == app)
    }

    /// Nothing but a sentence: two of them are decided by, the others are only shown.
    @Test func ofEarlierVersions() throws {
        func read(_ sentence: ByteString) throws -> EndReason? {
            let text = record(EndReason(.handoff, sentence)).text
            let lines = text.split(on: UInt8(ascii: "\n")).filter { !$0.hasPrefix("cause=") }
            return try #require(CopyRecord(text: joined(lines, by: "\n"))).reason
        }
        #expect(try read("it was told to stop") == .toldToStop)
        #expect(try read("it has ended") == .unknown)
        #expect(try read("exited with 3")?.description == "exited with 3")
        #expect(try #require(CopyRecord(text: record(nil).text)).reason == nil)
    }

    /// Rewording a sentence changes no decision.
    @Test func damage() {
        #expect(EndReason(fields: []) == nil)
        #expect(EndReason(fields: ["it was told to stop", "", ""]) == nil)
        #expect(GenerationOutcome(fields: ["failed", "0"]) == nil)
        #expect(GenerationOutcome(fields: ["generation 4 took over"]) == nil)
    }
}
