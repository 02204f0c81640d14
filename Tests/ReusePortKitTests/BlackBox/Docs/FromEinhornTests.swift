import Foundation
import Testing

@testable import ReusePortKit

/// docs/from-einhorn.md
@Suite struct FromEinhornTests {
    /// A worker with any user's rights acknowledges its start, in the way that the library of einhorn has.
    @Test(arguments: ["fd:9", "ack"] as [ByteString]) func descriptorsAndSignal(readiness: ByteString) throws {
        let stage = try Stage(.privileged)
        try stage.expectHandovers(
            ["--pass", "einhorn", "--stop-signal", "USR2", "--ready", readiness],
            command: try stage.python("einhorn.py", ["same"]))
    }
}
