/// Who starts a copy again when it ends.
public enum Supervisor: Sendable, Hashable {
    /// runit's runsv, with this service directory.
    case runit(ByteString)
    /// s6-supervise, with this service directory.
    case s6(ByteString)
    /// The system's systemd, with this unit.
    case systemd(ByteString)
    /// A user's own systemd.
    case userSystemd(ByteString)

    /// Who supervises the calling process; to be asked before it changes its directory or its root.
    public static func current(in proc: ProcFileSystem = ProcFileSystem()) -> Supervisor? { nil }

    /// As it is kept in the registry: `runit:/etc/sv/web-blue`.
    public var description: ByteString { "" }

    /// Reads what `description` wrote.
    public init?(parsing text: ByteString) { return nil }

    /// Tells it not to start the running copy again.
    public func keepDown(searchPath: ByteString = "/usr/bin:/bin") throws(Failure) {}
}
