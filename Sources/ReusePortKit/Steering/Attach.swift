import CLinux

// One program steers a whole reuseport group: who attaches one replaces what was there, listeners that join later are
// steered by it, and it stays until the last of them has gone. The kernel does not tell which program is attached: to
// be sure of it, attach.

/// setsockopt(2) with SO_ATTACH_REUSEPORT_EBPF: the group of `listener` is steered by `program`.
///
/// EINVAL: the TCP socket is not listening. The kernel would take it, but the socket's listen(2) would then fail with
/// EADDRINUSE.
func attachProgram(_ program: borrowing Descriptor, to listener: borrowing Descriptor) throws(Errno) {
    try requireListening(listener)
    var number = program.number
    try checked(
        setsockopt(
            listener.number, SOL_SOCKET, CLINUX_SO_ATTACH_REUSEPORT_EBPF, &number,
            socklen_t(MemoryLayout<Int32>.size)))
}

/// setsockopt(2) with SO_ATTACH_REUSEPORT_CBPF; needs no privilege. EINVAL as above, or the code is wrong.
func attachFilter(_ code: [sock_filter], to listener: borrowing Descriptor) throws(Errno) {
    try requireListening(listener)
    var code = code
    let result = code.withUnsafeMutableBufferPointer { code in
        var program = sock_fprog(len: UInt16(code.count), filter: code.baseAddress)
        return setsockopt(
            listener.number, SOL_SOCKET, CLINUX_SO_ATTACH_REUSEPORT_CBPF, &program,
            socklen_t(MemoryLayout<sock_fprog>.size))
    }
    try checked(result)
}

/// setsockopt(2) with SO_DETACH_REUSEPORT_BPF (Linux 5.3): the group of `listener` is no longer steered, the kernel
/// chooses by a hash among all of it. False if no program was attached.
@discardableResult
func detachSteering(from listener: borrowing Descriptor) throws(Errno) -> Bool {
    var unused: Int32 = 0
    do throws(Errno) {
        try checked(
            setsockopt(
                listener.number, SOL_SOCKET, CLINUX_SO_DETACH_REUSEPORT_BPF, &unused,
                socklen_t(MemoryLayout<Int32>.size)))
    } catch {
        if error == .noEntry { return false }
        throw error
    }
    return true
}

private func requireListening(_ socket: borrowing Descriptor) throws(Errno) {
    guard try option(socket, SOL_SOCKET, SO_TYPE) == Int32(SOCK_STREAM.rawValue) else { return }
    guard try option(socket, SOL_SOCKET, SO_ACCEPTCONN) != 0 else { throw .invalid }
}
