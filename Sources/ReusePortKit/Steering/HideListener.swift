import CLinux

/// Takes a listener out of the kernel's lookup of new connections, by binding it to an interface that does not exist. It
/// keeps its connections, and its place in its group; but a client that the group's program sends there gets no answer,
/// and asks again a second later. Nothing short of CAP_NET_RAW takes this back.
///
/// A listener that closes leaves its group first and the lookup a moment later. Without a program that moves connections
/// (`movesQueued`), a handshake that meets it in between begins there, and is reset. Under steady load that
/// happens once in 1,000 to 3,000 closings (`make bench-closing`), and only to the listener that the lookup finds first:
/// the oldest of the group with IPv6, the youngest with IPv4.
///
/// EPERM: it is bound to an interface, or Linux is older than 5.7, and the caller lacks CAP_NET_RAW.
func hide(_ listener: borrowing Descriptor) throws(Errno) {
    try setOption(listener, SOL_SOCKET, CLINUX_SO_BINDTOIFINDEX, Int32(noInterface))
}
