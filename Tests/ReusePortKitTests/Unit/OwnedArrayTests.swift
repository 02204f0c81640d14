import CLinux
import Testing

@testable import ReusePortKit

@Suite struct OwnedArrayTests {
    @Test func removes() {
        var array = OwnedArray<Descriptor>()
        for number: Int32 in 1000..<1005 { array.append(Descriptor(owning: number)) }
        #expect(array.remove(at: 1).release() == 1001)
        #expect(array.remove(at: 0).release() == 1000)
        #expect(array.count == 3)
        #expect(array[0].number == 1002)
        while let last = array.popLast() { _ = last.release() }
    }
}
