import Testing

@testable import ReusePortKit

/// How connections are balanced is kept in the registry.
@Suite struct BalanceRecordTests {
    @Test func theBalanceIsRemembered() throws {
        let app = AppRecord()
        for (index, balance) in (Balance.allCases + [nil]).enumerated() {
            app.lastID = UInt64(index)
            app.generations.append(
                GenerationRecord(
                    id: UInt64(index), label: "g", copies: 4, bank: .first, balance: balance, state: .ended, since: 1
                ))
        }
        #expect(AppRecord(text: app.text) == app)
    }

    @Test func filesWithoutItAreRead() throws {
        let text: ByteString = """
            format=1
            sequence=3
            steering=cbpf
            order=http 5 6
            generation=3 blue 2 0 live 17 -
            balance=4 cpu
            balance=3 unheard-of
            end=

            """
        let app = try #require(AppRecord(text: text))
        #expect(app.live?.label == "blue" && app.live?.balance == nil)
    }
}
