import CLinux

/// Capabilities (capabilities(7)) for want of which the kernel has refused something. Root in a container lacks most.
struct Capabilities: OptionSet, Sendable, Equatable {
    let rawValue: UInt8
    static let ptrace = Capabilities(rawValue: 1)
    static let readSearch = Capabilities(rawValue: 2)
    static let kill = Capabilities(rawValue: 4)
    static let netAdmin = Capabilities(rawValue: 8)
}

extension Capabilities {
    /// The way out, to end a message with: `; that takes CAP_KILL`. Empty if nothing is lacking.
    var remedy: ByteString {
        if isEmpty { return "" }
        if geteuid() != 0 { return "; run it as root" }
        var names: [ByteString] = []
        if contains(.readSearch) {
            names.append("CAP_SYS_PTRACE with CAP_DAC_READ_SEARCH")
        } else if contains(.ptrace) {
            names.append("CAP_SYS_PTRACE")
        }
        if contains(.kill) { names.append("CAP_KILL") }
        if contains(.netAdmin) { names.append("CAP_NET_ADMIN") }
        return "; that takes \(joined(names, by: " or "))"
    }
}
