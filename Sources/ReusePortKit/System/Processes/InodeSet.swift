/// A set of inodes or cookies. A sorted array, because `Set` would add hashing, and libm, to the program.
struct InodeSet: Hashable, Sendable {
    private var sorted: [UInt64]

    init(_ inodes: [UInt64]) { sorted = inodes.ordered { $0 < $1 } }

    var isEmpty: Bool { sorted.isEmpty }

    func contains(_ inode: UInt64) -> Bool {
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
