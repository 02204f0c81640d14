import CLinux
import Testing

@testable import ReusePortKit

@Suite(.serialized) struct InheritedSocketsTests {
    @Test func ownedArrayRemoves() {
        var array = OwnedArray<Descriptor>()
        for number: Int32 in 1000..<1005 { array.append(Descriptor(owning: number)) }
        #expect(array.remove(at: 1).release() == 1001)
        #expect(array.remove(at: 0).release() == 1000)
        #expect(array.count == 3)
        #expect(array[0].number == 1002)
        while let last = array.popLast() { _ = last.release() }
    }

    @Test func nothingAnnounced() throws {
        unsetenv("LISTEN_FDS")
        let inherited = try InheritedSockets()
        #expect(inherited.count == 0)
    }

    @Test func anotherProcessIsMeant() throws {
        setenv("LISTEN_FDS", "1", 1)
        setenv("LISTEN_PID", "1", 1)
        setenv("LISTEN_FDNAMES", "http", 1)
        let inherited = try InheritedSockets()
        #expect(inherited.count == 0)
        #expect(getenv("LISTEN_FDS") == nil && getenv("LISTEN_PID") == nil && getenv("LISTEN_FDNAMES") == nil)
    }

    @Test func nonsenseIsRefused() {
        setenv("LISTEN_FDS", "many", 1)
        setenv("LISTEN_PID", "\(getpid())", 1)
        #expect(throws: Failure.self) { _ = try InheritedSockets().count }
    }
}
