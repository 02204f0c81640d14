/// The memory limits that a copy asks for, in bytes; nil: none.
struct MemoryLimits: Sendable, Equatable {
    /// From here on the kernel slows the copy down.
    var high: UInt64?
    /// Beyond this the kernel ends it.
    var max: UInt64?
    /// Beyond this, all copies of the app taken together, the kernel ends one.
    var appMax: UInt64?

    var isEmpty: Bool { high == nil && max == nil && appMax == nil }
}
