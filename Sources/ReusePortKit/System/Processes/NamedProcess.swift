/// A process as messages name it: `pid 12 (node)`.
struct NamedProcess: Sendable, Equatable {
    let pid: Int32
    /// The name of its command; nil if it could not be read.
    let name: ByteString?
}

extension NamedProcess {
    /// Reads the name now; nil if the pid is another process's by now.
    init(_ process: ProcessIdentity, in proc: ProcFileSystem = ProcFileSystem()) {
        let status = try? ProcessStatus(of: process.pid, in: proc)
        self.init(pid: process.pid, name: status?.identity == process ? status?.name : nil)
    }

    var description: ByteString {
        if let name { "pid \(pid) (\(name))" } else { "pid \(pid)" }
    }
}
