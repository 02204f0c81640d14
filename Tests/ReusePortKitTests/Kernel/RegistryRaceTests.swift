import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// What is read while somebody else writes.
@Suite struct RegistryRaceTests {
    /// A helper that writes down that its generation is live, and goes, is not taken for one that went before.
    @Test func aHelperThatHasDoneItsWork() throws {
        let box = Sandbox()
        let registry = try Registry.open("web", in: ByteString(box["run"]), create: true)!
        let app = AppRecord()
        let ours = try ProcessIdentity(of: getpid())
        for round in 0..<40 {
            // In another phase each time.
            let pause = Double(round) / 2000
            let script = "read x; cd '\(registry.path.text)'; sleep \(pause); exec mv -T new app"
            let helper = try Running(
                file: "/bin/sh", words: ["sh", "-c", ByteString(script)], environment: Sandbox.environment,
                hasInput: true)
            // So many that looking at them takes longer than the helper's work.
            let count = 200
            app.generations = [
                GenerationRecord(id: 1, label: "1", copies: count, bank: .first, state: .live, since: 1)
            ]
            try registry.store(app)
            #expect(rename("\(registry.path.text)/app", "\(registry.path.text)/new") == 0)
            app.generations[0].state = .starting
            try registry.store(app)
            for copy in 0..<count {
                try registry.store(
                    CopyRecord(
                        generation: 1, copy: copy, process: ours,
                        helper: copy == count - 1 ? try ProcessIdentity(of: helper.pid) : nil, state: .ready, since: 1,
                        listeners: [], supervisor: nil, stopSignal: 15, stopTimeout: .seconds(1), nice: nil))
            }
            #expect(AppState.reconciled(registry).app.starting != nil)

            helper.endInput()
            var state = GenerationRecord.State.starting
            let deadline = Deadline(after: patience)
            while state == .starting && !deadline.hasPassed {
                state = try #require(AppState.reconciled(registry).app.generation(1)).state
            }
            #expect(state == .live)
        }
    }
}
