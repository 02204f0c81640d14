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
    let own = Descriptor(owning: far)
    refuseDescriptors(own)
    return (near, own.release())
}
