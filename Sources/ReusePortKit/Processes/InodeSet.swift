/// Inodes to look up quickly. A sorted array, for `Set` would bring its hashing, and libm, into the program.
public struct InodeSet: Hashable, Sendable {
    private var sorted: [UInt64]

    public init(_ inodes: [UInt64]) { sorted = inodes.sorted() }

    public var isEmpty: Bool { sorted.isEmpty }

    public func contains(_ inode: UInt64) -> Bool {
        var start = 0
        var end = sorted.count
        while start < end {
            let middle = start + (end - start) / 2
            if sorted[middle] == inode { return true }
            if sorted[middle] < inode { start = middle + 1 } else { end = middle }
        }
        return false
    }
}
