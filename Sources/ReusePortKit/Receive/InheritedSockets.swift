import CLinux

/// A descriptor that was passed to the program at its start.
public struct InheritedSocket: ~Copyable {
    /// The kind of an inherited descriptor.
    public enum Kind: Hashable, Sendable {
        /// A stream socket that listens: TCP or Unix.
        case listener
        /// A stream socket that is bound but does not listen yet: call listen(2).
        case bound
        /// A datagram socket: UDP.
        case datagram
        /// A file, or anything else that is not one of these sockets.
        case file
    }

    /// The name in LISTEN_FDNAMES; `unknown` without one, as in sd_listen_fds_with_names(3).
    public let name: ByteString
    /// The kind of descriptor.
    public let kind: Kind
    /// The address that the socket is bound to; nil for files.
    public let address: SocketAddress?
    /// The descriptor, which is close-on-exec. It is closed at the end of its lifetime unless it is released.
    public let descriptor: Descriptor

    /// Returns the descriptor, which the caller owns from now on.
    public consuming func take() -> Descriptor { descriptor }
}

/// The descriptors that reuseport-exec, systemd or a similar program passed with LISTEN_FDS.
///
/// ```swift
/// var inherited = try InheritedSockets()
/// if let http = inherited.take(named: "http") { serve(http.take().release()) }
/// ```
public struct InheritedSockets: ~Copyable {
    private var sockets = OwnedArray<InheritedSocket>()

    /// Takes ownership of the descriptors in LISTEN_FDS if LISTEN_PID is this process, and is empty otherwise. Removes
    /// the variables, because they do not apply to child processes.
    ///
    /// Call it once, before starting threads that use the environment.
    ///
    /// - Throws: `Failure` if a variable is malformed, or a descriptor is not open.
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
        // Refuses absurd counts, which would take very long to check. No process has so many descriptors.
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

    /// The number of descriptors that are left.
    public var count: Int { sockets.count }

    /// Borrows one of them, in the order in which they were passed.
    public subscript(index: Int) -> InheritedSocket {
        _read { yield sockets[index] }
    }

    /// Removes and returns the first one of that name; nil if there is none.
    public mutating func take(named name: ByteString) -> InheritedSocket? {
        for index in 0..<sockets.count where sockets[index].name == name { return sockets.remove(at: index) }
        return nil
    }

    /// Removes and returns the first one; nil if none is left.
    public mutating func takeFirst() -> InheritedSocket? { sockets.count > 0 ? sockets.remove(at: 0) : nil }
}

extension InheritedSocket {
    /// Takes ownership of an open descriptor and finds out its kind.
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
        Failure(.system, "read", "\(variable)=\(value)", "it is not a number")
    }
}
