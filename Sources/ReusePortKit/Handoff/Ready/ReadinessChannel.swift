import CLinux

/// What has to exist before the copy is started, so that it can say that it is ready: a socket for `notify`, a pipe
/// for `fd:N`, nothing for the others. All descriptors are close-on-exec.
///
/// The launcher makes it, starts the process that waits, and then becomes the copy. A write end that stays open in the
/// process that waits hides that the copy has closed its own: both call `takeWriteEnd()`, the one that waits to close
/// it.
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

    /// The reading side's number, for who closes all others.
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

    /// Nobody reads the Node channel any more.
    func leaveNode() throws(Errno) {
        switch node {
        case .some(let node): try swallowMessages(to: node)
        case .none: break
        }
    }

    /// By what others know the Node channel.
    func nodeCookie() throws(Failure) -> UInt64? {
        switch node {
        case .some(let node):
            try step("identify", "the Node channel") { () throws(Errno) in try socketCookie(of: node) }
        case .none: nil
        }
    }

    /// Gives the pipe's write end away, which is to be the target's descriptor N; nil for other forms, and after the
    /// first time.
    mutating func takeWriteEnd() -> Descriptor? { writer.take() }

    private init() {
        reader = nil
        writer = nil
        notifySocketName = nil
    }

    /// A datagram socket whose name the kernel chooses (bind(2) with the family only, "autobind" in unix(7)), and which
    /// tells who has sent a message (SO_PASSCRED).
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
