import CLinux

/// A netlink socket for sock_diag(7), through which the kernel lists the sockets of this network namespace. Needs no
/// privilege. ENOENT for a family whose module (`inet_diag`, `tcp_diag`, `udp_diag`, `unix_diag`) is missing.
struct DiagnosticSocket: ~Copyable {
    private let descriptor: Descriptor

    @inline(never)
    init() throws(Errno) {
        let type = Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = Descriptor(owning: try checked(CLinux.socket(AF_NETLINK, type, NETLINK_SOCK_DIAG)))
        // Connects to port 0, the kernel, so that messages of other senders are refused.
        var kernel = sockaddr_nl()
        kernel.nl_family = sa_family_t(AF_NETLINK)
        try withUnsafeBytes(of: &kernel) { raw throws(Errno) in
            let address = raw.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            try checked(CLinux.connect(descriptor.number, address, socklen_t(raw.count)))
        }
        self.descriptor = descriptor
    }

    /// Asks for all sockets that match, and calls `body` with each answer, without its netlink header.
    ///
    /// The kernel answers in pieces, and sockets come and go in between: the answers are not a snapshot.
    borrowing func dump<Request: BitwiseCopyable>(
        _ request: Request, _ body: (UnsafeRawBufferPointer) -> Void
    ) throws(Errno) {
        try withUnsafeBytes(of: request) { request throws(Errno) in
            try ask(request, flags: NLM_F_ROOT | NLM_F_MATCH, body)
        }
    }

    /// Asks for the one socket that the request describes, and calls `body` with the answer. ENOENT if there is none.
    borrowing func one<Request: BitwiseCopyable>(
        _ request: Request, _ body: (UnsafeRawBufferPointer) -> Void
    ) throws(Errno) {
        try withUnsafeBytes(of: request) { request throws(Errno) in try ask(request, flags: 0, body) }
    }

    /// Ends the one socket that the request describes (SOCK_DESTROY). EPERM without CAP_NET_ADMIN, EOPNOTSUPP if the kernel
    /// cannot (CONFIG_INET_DIAG_DESTROY), ENOENT if there is none.
    borrowing func destroy<Request: BitwiseCopyable>(_ request: Request) throws(Errno) {
        try withUnsafeBytes(of: request) { request throws(Errno) in
            try send(request, type: Int32(SOCK_DESTROY), flags: NLM_F_ACK)
            var answer = Answer()
            _ = try answer.next(on: descriptor)
        }
    }

    /// Sends a request and reads the answers. Without `flags`, the first message is the whole answer.
    @inline(never)
    private borrowing func ask(
        _ request: UnsafeRawBufferPointer, flags: Int32, _ body: (UnsafeRawBufferPointer) -> Void
    ) throws(Errno) {
        try send(request, flags: flags)
        var answer = Answer()
        while let message = try answer.next(on: descriptor) {
            body(message)
            if flags == 0 { return }
        }
    }

    private borrowing func send(
        _ request: UnsafeRawBufferPointer, type: Int32 = SOCK_DIAG_BY_FAMILY, flags: Int32
    ) throws(Errno) {
        let number = descriptor.number
        var header = nlmsghdr()
        header.nlmsg_len = UInt32(Answer.headerSize + request.count)
        header.nlmsg_type = UInt16(type)
        header.nlmsg_flags = UInt16(NLM_F_REQUEST | flags)
        header.nlmsg_seq = 1
        var message: [UInt8] = []
        withUnsafeBytes(of: &header) { message.append(contentsOf: $0) }
        message.append(contentsOf: request)
        _ = try message.withUnsafeBufferPointer { bytes throws(Errno) in
            try uninterrupted { CLinux.send(number, bytes.baseAddress, bytes.count, 0) }
        }
    }
}

/// The kernel's answer, read message by message: one function for all requests, whatever is done with the messages.
private struct Answer: ~Copyable {
    static let headerSize = MemoryLayout<nlmsghdr>.size

    /// The kernel fills messages of at most 32 KiB.
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 32768, alignment: 8)
    private var count = 0
    private var offset = 0

    deinit { buffer.deallocate() }

    /// The next message behind its header, valid until the one after it is read; nil when there are no more.
    @inline(never)
    mutating func next(on socket: borrowing Descriptor) throws(Errno) -> UnsafeRawBufferPointer? {
        let number = socket.number
        let buffer = buffer
        while true {
            if offset + Self.headerSize > count {
                count = try uninterrupted { CLinux.recv(number, buffer.baseAddress, buffer.count, Int32(MSG_TRUNC)) }
                guard count >= Self.headerSize, count <= buffer.count else { throw Errno(rawValue: EBADMSG) }
                offset = 0
            }
            let header = buffer.loadUnaligned(fromByteOffset: offset, as: nlmsghdr.self)
            let length = Int(header.nlmsg_len)
            guard length >= Self.headerSize, offset + length <= count else { throw Errno(rawValue: EBADMSG) }
            let content = UnsafeRawBufferPointer(rebasing: buffer[offset + Self.headerSize..<offset + length])
            offset += aligned(length)
            switch Int32(header.nlmsg_type) {
            case NLMSG_DONE, NLMSG_ERROR:
                // Both begin with an error number, negative; 0 is success.
                guard content.count >= MemoryLayout<Int32>.size else { return nil }
                let code = content.loadUnaligned(as: Int32.self)
                if code < 0 { throw Errno(rawValue: -code) }
                return nil
            case SOCK_DIAG_BY_FAMILY: return content
            default: break
            }
        }
    }
}

/// Calls `body` with type and content of each netlink attribute from `start` on.
func forEachAttribute(
    in message: UnsafeRawBufferPointer, from start: Int, _ body: (Int32, UnsafeRawBufferPointer) -> Void
) {
    let headerSize = MemoryLayout<nlattr>.size
    var offset = aligned(start)
    while offset + headerSize <= message.count {
        let header = message.loadUnaligned(fromByteOffset: offset, as: nlattr.self)
        let length = Int(header.nla_len)
        guard length >= headerSize, offset + length <= message.count else { return }
        body(
            Int32(header.nla_type), UnsafeRawBufferPointer(rebasing: message[offset + headerSize..<offset + length]))
        offset += aligned(length)
    }
}

/// NLMSG_ALIGN and NLA_ALIGN: everything in netlink begins at a multiple of four.
private func aligned(_ length: Int) -> Int { (length + 3) & ~3 }

/// Says what to do when the kernel does not list sockets.
func diagnosticsRemedy(_ errno: Errno) -> ByteString? {
    errno == .noEntry
        ? "run modprobe -a tcp_diag udp_diag unix_diag, on the host if this is a container"
        : "allow AF_NETLINK, as in RestrictAddressFamilies= of systemd"
}
