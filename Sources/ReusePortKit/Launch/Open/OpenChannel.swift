import CLinux

/// The two ends of a Node channel: the target's own, and the one by which others talk to it. The target keeps both, so
/// that it never closes.
///
/// Of whole messages (SOCK_SEQPACKET) and not of a stream: from those the kernel can keep what nobody reads.
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

/// From now on whatever is sent to this end is gone, and its sender never waits, fails or learns of it: a filter on the
/// receiving socket that takes nothing (socket(7), needs no privilege). What has come before is thrown away.
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
    // There is an end to what fits into the sender's buffer. At the end of the channel, 0 bytes come again and again.
    var byte: UInt8 = 0
    for _ in 0..<1 << 16 where recv(number, &byte, 1, Int32(MSG_DONTWAIT)) == -1 { return }
}
