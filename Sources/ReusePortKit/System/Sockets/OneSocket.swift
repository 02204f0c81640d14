import CLinux

// Questions to the kernel about one socket, which it answers without listing others.

/// Finds the TCP connection between two addresses, as seen from `local`, in any state. If there is none, the kernel
/// answers with the listener that would get it; nil if there is neither. Costs one lookup in a hash table, however many
/// connections there are.
func connection(
    from local: SocketAddress, to remote: SocketAddress, interface: UInt32
) throws(Errno) -> SocketRecord? {
    try connection(from: local, to: remote, interface: interface, DiagnosticSocket())
}

@inline(never)
func connection(
    from local: SocketAddress, to remote: SocketAddress, interface: UInt32, _ diagnostics: borrowing DiagnosticSocket
) throws(Errno) -> SocketRecord? {
    var request = inet_diag_req_v2()
    request.sdiag_family = UInt8(local.family)
    request.sdiag_protocol = InternetProtocol.tcp.rawValue
    request.idiag_states = UInt32.max
    // Asks for the number of bytes received, too.
    request.idiag_ext = 1 << UInt8(INET_DIAG_INFO - 1)
    // Any cookie.
    request.id.idiag_cookie = (UInt32.max, UInt32.max)
    request.id.idiag_if = interface
    (request.id.idiag_src, request.id.idiag_sport) = words(local)
    (request.id.idiag_dst, request.id.idiag_dport) = words(remote)
    var result: SocketRecord?
    do throws(Errno) {
        try diagnostics.one(request) { result = SocketRecord(message: $0) }
    } catch .noEntry {
        return nil
    }
    return result
}

/// Ends a TCP listener for all processes that hold it, as shutdown(2) does. EPERM without CAP_NET_ADMIN.
///
/// The kernel looks for the listener that would get a connection from the remote address, and compares its cookie. In a
/// reuseport group that is a matter of the remote port's hash, so ports are tried until it is the wanted one.
func destroyListener(_ listener: ListenerIdentity, interface: UInt32) throws(Errno) {
    let diagnostics = try DiagnosticSocket()
    var request = inet_diag_req_v2()
    request.sdiag_family = UInt8(listener.address.family)
    request.sdiag_protocol = InternetProtocol.tcp.rawValue
    request.idiag_states = SocketStates.listening.rawValue
    request.id.idiag_cookie = (
        UInt32(truncatingIfNeeded: listener.cookie), UInt32(truncatingIfNeeded: listener.cookie >> 32)
    )
    request.id.idiag_if = interface
    (request.id.idiag_src, request.id.idiag_sport) = words(listener.address)
    for port in UInt16(1)...8192 {
        request.id.idiag_dport = port.bigEndian
        do throws(Errno) {
            return try diagnostics.destroy(request)
        } catch {
            if error != .noEntry && error.rawValue != ESTALE { throw error }
        }
    }
    throw .noEntry
}

/// Finds the inode of the socket at the other end of a connected Unix socket; 0 if that end was not accepted yet, or
/// has gone.
func peerInode(
    ofUnixSocket socket: borrowing Descriptor, _ diagnostics: borrowing DiagnosticSocket
) throws(Errno) -> UInt32 {
    var request = unix_diag_req()
    request.sdiag_family = UInt8(AF_UNIX)
    request.udiag_states = UInt32.max
    request.udiag_ino = UInt32(truncatingIfNeeded: try socketInode(of: socket))
    request.udiag_show = UInt32(UDIAG_SHOW_PEER)
    // The request has only 32 bits of the inode, so the cookie identifies the socket.
    let cookie = try socketCookie(of: socket)
    request.udiag_cookie = (UInt32(truncatingIfNeeded: cookie), UInt32(truncatingIfNeeded: cookie >> 32))
    var result: UInt32 = 0
    try diagnostics.one(request) { message in
        forEachAttribute(in: message, from: MemoryLayout<unix_diag_msg>.size) { attribute, content in
            if attribute == Int32(UNIX_DIAG_PEER), content.count >= 4 {
                result = content.loadUnaligned(as: UInt32.self)
            }
        }
    }
    return result
}

/// Writes address and port for an `inet_diag_sockid`, in network order; zeros for a Unix socket, which has neither.
@inline(never)
private func words(_ address: SocketAddress) -> ((UInt32, UInt32, UInt32, UInt32), UInt16) {
    switch address {
    case .ipv4(let host, let port):
        return ((host.bigEndian, 0, 0, 0), port.bigEndian)
    case .ipv6(let high, let low, let port, _):
        // From the most significant to the least.
        let first = UInt32(truncatingIfNeeded: high >> 32)
        let second = UInt32(truncatingIfNeeded: high)
        let third = UInt32(truncatingIfNeeded: low >> 32)
        let fourth = UInt32(truncatingIfNeeded: low)
        return ((first.bigEndian, second.bigEndian, third.bigEndian, fourth.bigEndian), port.bigEndian)
    case .unix:
        return ((0, 0, 0, 0), 0)
    }
}
