import CLinux

/// Makes a Node channel: the target's own end, and the one by which others talk to it. The target keeps both, so that
/// the channel never closes.
///
/// It carries whole messages (SOCK_SEQPACKET), because the kernel can filter these if nobody reads them.
func openChannel() throws(Errno) -> (near: Int32, far: Int32) {
    let (near, far) = try socketPair(Int32(SOCK_SEQPACKET.rawValue))
    // A message is sent whole or not at all (EMSGSIZE), so it cannot be longer than this buffer. The kernel doubles the
    // number. SO_SNDBUFFORCE goes beyond net.core.wmem_max, and needs CAP_NET_ADMIN.
    var size: Int32 = 1 << 21
    for option in [SO_SNDBUFFORCE, SO_SNDBUF] {
        if setsockopt(near, SOL_SOCKET, option, &size, socklen_t(MemoryLayout<Int32>.size)) == 0 { break }
    }
    return (near, far)
}

/// Drops all messages to this end, so that the sender never waits or fails: attaches a filter that accepts nothing to
/// the receiving socket (socket(7), needs no privilege), and throws away what has come before.
func swallowMessages(to far: borrowing Descriptor) throws(Errno) {
    // BPF_RET | BPF_K with 0.
    var nothing = sock_filter(code: 6, jt: 0, jf: 0, k: 0)
    let number = far.number
    let code = withUnsafeMutablePointer(to: &nothing) { filter in
        var program = sock_fprog(len: 1, filter: filter)
        return setsockopt(
            number, SOL_SOCKET, SO_ATTACH_FILTER, &program, socklen_t(MemoryLayout<sock_fprog>.size))
    }
    try checked(code)
    // The loop has a bound, because a closed channel returns 0 bytes again and again.
    var byte: UInt8 = 0
    for _ in 0..<1 << 16 where recv(number, &byte, 1, Int32(MSG_DONTWAIT)) == -1 { return }
}
