import CLinux

/// Reads a signal: `TERM`, `SIGTERM`, `15`, `RTMIN+3`, `RTMAX-1`, in upper or lower case. Nil for anything else.
func parseSignal(_ text: ByteString) -> Int32? {
    if let number = text.decimal { return (1...64).contains(number) ? Int32(number) : nil }
    var name = ByteString(text.bytes.map { $0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "z") ? $0 - 32 : $0 })
    if name.hasPrefix("SIG") { name = name.dropFirst(3) }
    for (number, known) in signalNames.enumerated() where known == name {
        return Int32(number) + 1
    }
    // The C library uses the first real-time signals itself, so only it knows where RTMIN is.
    let first = __libc_current_sigrtmin()
    let last = __libc_current_sigrtmax()
    if name == "RTMIN" { return first }
    if name == "RTMAX" { return last }
    guard let distance = name.dropFirst(6).decimal, distance <= UInt64(last - first) else { return nil }
    if name.hasPrefix("RTMIN+") { return first + Int32(distance) }
    if name.hasPrefix("RTMAX-") { return last - Int32(distance) }
    return nil
}

/// The name of a signal, `TERM` or `RTMIN+3`, or its number if it has none.
func signalName(_ number: Int32) -> ByteString { nameIfAny(ofSignal: number) ?? "\(number)" }

/// The name of a signal: `TERM`, `RTMIN+3`. Nil for a number that is not a signal's, or that the C library keeps for
/// itself.
func nameIfAny(ofSignal number: Int32) -> ByteString? {
    let names = signalNames
    if number >= 1, Int(number) <= names.count { return names[Int(number) - 1] }
    let first = __libc_current_sigrtmin()
    if number == first { return "RTMIN" }
    return number > first && number <= __libc_current_sigrtmax() ? "RTMIN+\(number - first)" : nil
}

/// The signals 1 to 31 of signal(7), as on all machines except Alpha, MIPS, PA-RISC and SPARC.
private var signalNames: [ByteString] {
    let names: ByteString = """
        HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG \
        XCPU XFSZ VTALRM PROF WINCH IO PWR SYS
        """
    return names.split(on: UInt8(ascii: " "))
}
