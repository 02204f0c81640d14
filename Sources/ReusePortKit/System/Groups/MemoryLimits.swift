/// The memory limits of a copy, in bytes; nil for none.
struct MemoryLimits: Sendable, Equatable {
    /// Above this the kernel slows the copy down.
    var high: UInt64?
    /// Above this the kernel kills the copy.
    var max: UInt64?
    /// If all copies of the app together use more than this, the kernel kills one.
    var appMax: UInt64?

    var isEmpty: Bool { high == nil && max == nil && appMax == nil }
}
