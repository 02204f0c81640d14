/// A process as messages name it: `pid 12 (node)`.
struct NamedProcess: Sendable, Equatable {
    let pid: Int32
    /// The name of its command; nil if it could not be read.
    let name: ByteString?

    init(pid: Int32, name: ByteString?) {
        self.pid = pid
        self.name = name
    }

    /// Reads the name now. Another process that has got the number meanwhile does not lend it its name.
    init(_ process: ProcessIdentity, in proc: ProcFileSystem = ProcFileSystem()) {
        let status = try? ProcessStatus(of: process.pid, in: proc)
        self.init(pid: process.pid, name: status?.identity == process ? status?.name : nil)
    }

    var description: ByteString {
        if let name { "pid \(pid) (\(name))" } else { "pid \(pid)" }
    }
}
