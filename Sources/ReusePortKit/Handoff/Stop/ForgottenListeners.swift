import CLinux

/// Whether a process has inherited this listener and has never used it.
///
/// With dialect `adopt`, the launcher leaves listeners at high, inheritable numbers, and tells the library of them. A
/// program that uses one moves it to a number of its own, and closes that before it starts another program. So a listener
/// that is only at the launcher's number is one that the holder has never used.
func isForgotten(_ listener: OpenListener, by holder: SocketHolder, in proc: ProcFileSystem) -> Bool {
    // Numbers below 100 belong to another dialect beside `adopt`, which the program may use as they are.
    guard holder.descriptor >= 100, holder.inode == listener.inode, holder.descriptor == listener.identity.offered,
        let flags = openFlags(of: holder, in: proc)
    else { return false }
    return flags & O_CLOEXEC == 0
}

/// The flags of the holder's descriptor, which /proc gives in octal.
private func openFlags(of holder: SocketHolder, in proc: ProcFileSystem) -> Int32? {
    guard let process = try? proc.open(process: holder.process.pid),
        let file = try? open("fdinfo/\(holder.descriptor)", in: process, O_RDONLY),
        // What the holder has put there instead may have much to tell.
        let text = try? readAll(file, atMost: 1 << 12),
        let line = text.split(on: UInt8(ascii: "\n")).first(where: { $0.hasPrefix("flags:") })
    else { return nil }
    var flags: Int32 = 0
    for digit in line.bytes where digit >= UInt8(ascii: "0") && digit <= UInt8(ascii: "7") {
        flags = flags << 3 | Int32(digit - UInt8(ascii: "0"))
    }
    return flags
}
