import CLinux

/// A descriptor that the program was started with.
public struct InheritedSocket: ~Copyable {
    /// What it is.
    public enum Kind: Hashable, Sendable {
        /// A stream socket that takes connections: TCP or Unix.
        case listener
        /// A stream socket that is bound and does not listen yet; call listen(2).
        case bound
        /// A datagram socket: UDP.
        case datagram
        /// A file, or whatever else is no socket of these kinds.
        case file
    }

    /// The name that it has in LISTEN_FDNAMES; `unknown` if there is none, as sd_listen_fds_with_names(3) has it.
    public let name: ByteString
    /// What it is.
    public let kind: Kind
    /// Where the socket is bound; nil for files.
    public let address: SocketAddress?
    /// The descriptor, close-on-exec; it closes with its owner unless it is released.
    public let descriptor: Descriptor

    /// Gives the descriptor away, to whatever closes it from now on.
    public consuming func take() -> Descriptor { descriptor }
}

/// The descriptors that were passed by the LISTEN_FDS contract: by reuseport-exec, by systemd, or by any of their kin.
///
/// ```swift
/// var inherited = try InheritedSockets()
/// if let http = inherited.take(named: "http") { serve(http.take().release()) }
/// ```
public struct InheritedSockets: ~Copyable {
    private var sockets = OwnedArray<InheritedSocket>()

    /// Takes over what LISTEN_FDS announces, if LISTEN_PID is this process, and removes the variables: child processes
    /// must not believe them. Without them, or with another process's, there is nothing to take, which is no error.
    ///
    /// Call it once, early, before threads that read or change the environment are started.
    ///
    /// - Throws: `Failure` if a variable cannot be understood, or announces a descriptor that is not open.
    public init() throws(Failure) {
        let announced = environmentVariable("LISTEN_FDS")
        let process = environmentVariable("LISTEN_PID")
        let names = environmentVariable("LISTEN_FDNAMES")
        for name in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"] as [ByteString] {
            name.withCString { _ = unsetenv($0) }
        }
        guard let announced, let process else { return }
        guard let pid = process.decimal else { throw .misunderstood("LISTEN_PID", process) }
        guard pid == UInt64(getpid()) else { return }
        // More than the kernel ever gives one process would only be a very long wait.
        guard let count = announced.decimal, count < 1 << 20 else { throw .misunderstood("LISTEN_FDS", announced) }
        let list = names?.split(on: UInt8(ascii: ":")) ?? []
        for index in 0..<Int(count) {
            let number = Int32(3 + index)
            guard clinux_fcntl(number, F_SETFD, Int(FD_CLOEXEC)) == 0 else {
                throw Failure("take over", "descriptor \(number) of LISTEN_FDS", .current)
            }
            let name = index < list.count && !list[index].isEmpty ? list[index] : "unknown"
            sockets.append(InheritedSocket(name: name, adopting: number))
        }
    }

    /// How many there are.
    public var count: Int { sockets.count }

    /// Looks at one of them, in the order in which they were passed.
    public subscript(index: Int) -> InheritedSocket {
        _read { yield sockets[index] }
    }

    /// Takes the first one of that name out; nil if there is none.
    public mutating func take(named name: ByteString) -> InheritedSocket? {
        for index in 0..<sockets.count where sockets[index].name == name { return sockets.remove(at: index) }
        return nil
    }

    /// Takes the first one out; nil when none is left.
    public mutating func takeFirst() -> InheritedSocket? { sockets.count > 0 ? sockets.remove(at: 0) : nil }
}

extension InheritedSocket {
    /// Looks at an open descriptor and takes it over.
    fileprivate init(name: ByteString, adopting number: Int32) {
        self.name = name
        descriptor = Descriptor(owning: number)
        guard let type = try? option(descriptor, SOL_SOCKET, SO_TYPE) else {
            kind = .file
            address = nil
            return
        }
        address = (try? localAddress(of: descriptor)) ?? nil
        if type == Int32(SOCK_DGRAM.rawValue) {
            kind = .datagram
        } else {
            kind = (try? option(descriptor, SOL_SOCKET, SO_ACCEPTCONN)) == 1 ? .listener : .bound
        }
    }
}

extension Failure {
    fileprivate static func misunderstood(_ variable: ByteString, _ value: ByteString) -> Failure {
        Failure(.system, "understand", "\(variable)=\(value)", "it is no number")
    }
}
