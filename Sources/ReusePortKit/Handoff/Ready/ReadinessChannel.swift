import CLinux

/// Carries a copy's word that it is ready, and is made before the copy starts: a socket for `notify`, a pipe for `fd:N`,
/// nothing for the other forms. All descriptors are close-on-exec.
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

    static func make(_ readiness: Readiness) throws(Failure) -> ReadinessChannel {
        switch readiness {
        case .notify:
            return try step("make", "notification socket") { () throws(Errno) in try ReadinessChannel(notify: ()) }
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

    /// Makes the kernel drop what comes through the Node channel from now on, because nobody reads it any more.
    func leaveNode() throws(Errno) {
        switch node {
        case .some(let node): try swallowMessages(to: node)
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

    /// Takes the pipe's write end, which becomes the target's descriptor N; nil for other forms, and after the first time.
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
        var family = sa_family_t(AF_UNIX)
        try withUnsafeMutableBytes(of: &family) { raw throws(Errno) in
            let address = raw.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            try checked(CLinux.bind(own.number, address, socklen_t(raw.count)))
        }
        try setOption(own, SOL_SOCKET, SO_PASSCRED, 1)
        guard let name = try localAddress(of: own)?.path else { throw .invalid }
        notifySocketName = name
        reader = consume own
        writer = nil
    }

    private init(pipe: consuming PipeEnds) {
        reader = consume pipe.reader
        writer = consume pipe.writer
        notifySocketName = nil
    }
}
