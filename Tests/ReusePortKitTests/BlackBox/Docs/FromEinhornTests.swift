import Foundation
import Testing

@testable import ReusePortKit

/// docs/from-einhorn.md
@Suite struct FromEinhornTests {
    @Test func descriptorsAndSignal() throws {
        let stage = try Stage(.privileged)
        try stage.expectHandovers(
            ["--pass", "einhorn", "--stop-signal", "USR2", "--ready", "fd:9"],
            command: try stage.python("einhorn.py", ["same"]))
    }
}
