import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// Who owns a directory above a socket's can show another one under its path, at any moment.
@Suite struct StaleSocketTests {
    let box = Sandbox()

    /// What is asked whether anybody listens is what would be removed.
    @Test func heldOpen() throws {
        let theirs = box.makeDirectory("theirs")
        let folder = try open(ByteString(theirs), CLINUX_O_PATH | O_DIRECTORY)
        let live = try Endpoint.bound(.unix("\(theirs)/web.sock"))
        #expect(rename(theirs, box["elsewhere"]) == 0)
        try leaveStaleSocket("\(box.makeDirectory("theirs"))/web.sock")
        let isLiveOneUnserved = isUnserved("web.sock", in: folder)
        #expect(!isLiveOneUnserved)
        let stale = try open(ByteString(theirs), CLINUX_O_PATH | O_DIRECTORY)
        let isStaleOneUnserved = isUnserved("web.sock", in: stale)
        #expect(isStaleOneUnserved)
        withExtendedLifetime(live) {}
    }
}
