import Foundation
import Testing

@testable import ReusePortKit

/// The completion files are those that follow from the tables of options and verbs.
@Suite struct CompletionTests {
    @Test(arguments: CompletionTable.allCases) func filesAreCurrent(table: CompletionTable) throws {
        let path = "\(Tool.package)/\(table.rawValue)"
        let written = try String(contentsOfFile: path, encoding: .utf8)
        let wanted = try #require(table.completed(written), "\(path) has no place for the tables")
        // What `make completions` does.
        if ProcessInfo.processInfo.environment["WRITE_COMPLETIONS"] != nil {
            try wanted.write(toFile: path, atomically: false, encoding: .utf8)
            return
        }
        let isCurrent = written == wanted
        #expect(isCurrent, "\(path) is out of date: make completions")
    }
}
