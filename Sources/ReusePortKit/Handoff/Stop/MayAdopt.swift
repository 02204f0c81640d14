import CLinux

/// Whether somebody has this listener as the library of dialect `adopt` was told of it, and at a number for programs to
/// inherit, as the launcher's are: another number of a program's own is closed when that starts another.
func mayAdopt(_ listener: ListenerLeft, _ holder: SocketHolder, in proc: ProcFileSystem) -> Bool {
    let offer: ByteString = "\(holder.descriptor):\(listener.identity.cookie):"
    // Smaller ones are those of another dialect beside it, which the program may use as they are.
    guard holder.descriptor >= 100, holder.inode == listener.inode,
        let environment = try? proc.read("\(holder.process.pid)/environ"),
        let known = environment.split(on: 0).first(where: { $0.hasPrefix("REUSEPORT_EXEC_ADOPT=") }),
        known.dropFirst(21).split(on: UInt8(ascii: ";")).contains(where: { $0.hasPrefix(offer) }),
        let facts = try? proc.read("\(holder.process.pid)/fdinfo/\(holder.descriptor)"),
        let flags = facts.split(on: UInt8(ascii: "\n")).first(where: { $0.hasPrefix("flags:") })
    else { return false }
    // In octal.
    var bits: Int32 = 0
    for digit in flags.bytes where digit >= UInt8(ascii: "0") && digit <= UInt8(ascii: "7") {
        bits = bits << 3 | Int32(digit - UInt8(ascii: "0"))
    }
    return bits & O_CLOEXEC == 0
}
