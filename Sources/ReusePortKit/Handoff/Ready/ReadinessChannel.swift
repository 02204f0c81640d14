import CLinux

/// Carries a copy's word that it is ready, and is made before the copy starts: a socket for `notify` and for `ack`, a
/// pipe for `fd:N`, nothing for the other forms. All descriptors are close-on-exec.
///
/// The launcher makes it, starts the process that waits, and then becomes the copy. Both call `takeWriteEnd()`: the
/// process that waits closes that end, because it would not see the copy close its own otherwise.
struct ReadinessChannel: ~Copyable {
    /// The reading side.
    let reader: Descriptor?
    private var writer: Descriptor?
    /// The far end of the copy's Node channel, if it has one.
    var node: Descriptor?
    /// For NOTIFY_SOCKET: `@0001f`. Abstract names are found from within a chroot too.
    let notifySocketName: ByteString?

    /// `folder` is the app's, in which the socket for `ack` has a name for a moment.
    static func make(_ readiness: Readiness, in folder: Int32 = -1) throws(Failure) -> ReadinessChannel {
        switch readiness {
        case .notify:
            return try step("make", "notification socket") { () throws(Errno) in try ReadinessChannel(notify: ()) }
        case .acknowledgement:
            return try step("make", "socket for the acknowledgement") { () throws(Errno) in
                try ReadinessChannel(acknowledgedIn: folder)
            }
        case .descriptor(let number):
            return try step("make", "pipe for descriptor \(number)") { () throws(Errno) in
                ReadinessChannel(pipe: try PipeEnds())
            }
        default:
            return ReadinessChannel()
        }
    }

    /// Adds the numbers of the reading sides, for a caller that closes all others.
    func appendReader(to numbers: inout [Int32]) {
        switch reader {
        case .some(let reader): numbers.append(reader.number)
        case .none: break
        }
        switch node {
        case .some(let node): numbers.append(node.number)
        case .none: break
        }
    }

    /// Makes the kernel drop what comes from now on, because nobody reads it any more.
    @inline(never)
    func leave() {
        switch reader {
        // This fails for a pipe, which brings no descriptors.
        case .some(let reader): try? swallowMessages(to: reader)
        case .none: break
        }
        switch node {
        case .some(let node): try? swallowMessages(to: node)
        case .none: break
        }
    }

    /// The socket cookie of the Node channel, by which later invocations know it.
    func nodeCookie() throws(Failure) -> UInt64? {
        switch node {
        case .some(let node):
            try step("identify", "the Node channel") { () throws(Errno) in try socketCookie(of: node) }
        case .none: nil
        }
    }

    /// Takes the target's end: that of the pipe, or the file of the socket for `ack`. Nil for other forms, and after the
    /// first time.
    mutating func takeWriteEnd() -> Descriptor? { writer.take() }

    private init() {
        reader = nil
        writer = nil
        notifySocketName = nil
    }

    /// Makes a datagram socket whose name the kernel chooses (bind(2) with the family only, "autobind" in unix(7)), and
    /// whose messages come with their sender (SO_PASSCRED).
    private init(notify: ()) throws(Errno) {
        let own = try socket(family: AF_UNIX, type: Int32(SOCK_DGRAM.rawValue))
        // Before it has a name, to which others send.
        try setOption(own, SOL_SOCKET, SO_PASSCRED, 1)
        refuseDescriptors(own)
        var family = sa_family_t(AF_UNIX)
        try withUnsafeMutableBytes(of: &family) { raw throws(Errno) in
            let address = raw.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            try checked(CLinux.bind(own.number, address, socklen_t(raw.count)))
        }
        guard let name = try localAddress(of: own)?.path else { throw .invalid }
        notifySocketName = name
        reader = consume own
        writer = nil
    }

    /// Makes a listener of which only a descriptor of its file remains. The target, of whatever user and in whatever root
    /// that has /proc, connects to that, and no other process can.
    private init(acknowledgedIn folder: Int32) throws(Errno) {
        let path: ByteString = "/proc/self/fd/\(folder)/.ack.\(getpid())"
        let own = try socket(family: AF_UNIX, type: Int32(SOCK_STREAM.rawValue), flags: Int32(SOCK_NONBLOCK.rawValue))
        // A process with this number may have been killed between bind(2) and unlink(2).
        _ = path.withCString { CLinux.unlink($0) }
        try bind(own, to: .unix(path))
        let file = try open(path, CLINUX_O_PATH | O_NOFOLLOW)
        try path.withCString { path throws(Errno) in
            try checked(chmod(path, 0o666))
            try checked(CLinux.unlink(path))
        }
        try listen(own, backlog: 128)
        reader = consume own
        writer = consume file
        notifySocketName = nil
    }

    private init(pipe: consuming PipeEnds) {
        reader = consume pipe.reader
        writer = consume pipe.writer
        notifySocketName = nil
    }
}
