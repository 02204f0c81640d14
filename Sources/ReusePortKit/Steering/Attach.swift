import CLinux

// One program steers a whole reuseport group. Attaching a program replaces the one before; it also steers listeners
// that join later, and stays until the last member has closed. The kernel does not tell which program is attached, so
// callers attach theirs again to be sure.

/// setsockopt(2) with SO_ATTACH_REUSEPORT_EBPF: lets `program` steer the group of `listener`.
///
/// EINVAL: the TCP socket is not listening. The kernel would accept it, but then the socket's listen(2) would fail with
/// EADDRINUSE.
func attachProgram(_ program: borrowing Descriptor, to listener: borrowing Descriptor) throws(Errno) {
    try requireListening(listener)
    var number = program.number
    try checked(
        setsockopt(
            listener.number, SOL_SOCKET, CLINUX_SO_ATTACH_REUSEPORT_EBPF, &number,
            socklen_t(MemoryLayout<Int32>.size)))
}

/// setsockopt(2) with SO_ATTACH_REUSEPORT_CBPF; needs no privilege. EINVAL as above, or the code is invalid.
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

/// setsockopt(2) with SO_DETACH_REUSEPORT_BPF (Linux 5.3): ends the steering of the group of `listener`, so that the
/// kernel chooses among all members by a hash. False if no program was attached.
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
