import CLinux

/// proc(5), which is not mounted everywhere. Tests use another root.
struct ProcFileSystem: Sendable {
    var root: ByteString = "/proc"

    /// Whether proc is mounted: where it is not, the directory may exist, but is empty.
    var isMounted: Bool {
        let probe: ByteString = "\(root)/self/stat"
        return probe.withCString { access($0, F_OK) == 0 }
    }

    /// Opens a process's directory. Files in it can be read as long as this process exists, and then fail with ESRCH,
    /// even if another process has its number.
    func open(process pid: Int32) throws(Errno) -> Descriptor {
        try ReusePortKit.open("\(root)/\(pid)", O_RDONLY | O_DIRECTORY)
    }

    /// Opens the directory of exactly this process; ESRCH if another one has its number.
    func open(_ process: ProcessIdentity) throws(Errno) -> Descriptor {
        let directory = try open(process: process.pid)
        let line = try readAll(try ReusePortKit.open("stat", in: directory, O_RDONLY), atMost: longestFile)
        guard let status = ProcessStatus(parsing: line), status.identity == process else { throw .noProcess }
        return directory
    }

    /// Reads a whole file below the root.
    @inline(never)
    func read(_ name: ByteString) throws(Errno) -> ByteString {
        try readAll(try ReusePortKit.open("\(root)/\(name)", O_RDONLY), atMost: longestFile)
    }

    /// The pids of all visible processes.
    func processes() throws(Errno) -> [Int32] {
        try numbers(in: try ReusePortKit.open(root, O_RDONLY | O_DIRECTORY))
    }
}

/// A limit in bytes, for files that say something of processes. Their memory (environ, cmdline) is never read: it is theirs to fill,
/// and a page of it can keep whoever reads it waiting.
private let longestFile = 1 << 20

/// Calls `body` with each entry of a directory that is a number, also as the C string for readlinkat(2), until it
/// returns false.
@inline(never)
func forEachNumber(
    in directory: borrowing Descriptor, _ body: (Int32, UnsafePointer<CChar>) -> Bool
) throws(Errno) {
    // closedir(3) closes the stream's descriptor, and a duplicate would share the reading position: so opens it anew.
    let copy = try open(".", in: directory, O_RDONLY | O_DIRECTORY)
    guard let stream = fdopendir(copy.number) else { throw .current }
    _ = copy.release()
    defer { closedir(stream) }
    // Takes a failure of readdir(3) for the end of the directory: the process has ended meanwhile.
    while let entry = readdir(stream) {
        guard let name = clinux_entry_name(entry), let number = processNumber(name) else { continue }
        if !body(number, name) { return }
    }
}

func numbers(in directory: borrowing Descriptor) throws(Errno) -> [Int32] {
    var result: [Int32] = []
    try forEachNumber(in: directory) { number, _ in
        result.append(number)
        return true
    }
    return result
}

private func processNumber(_ name: UnsafePointer<CChar>) -> Int32? {
    var result: Int32 = 0
    var index = 0
    while name[index] != 0 {
        let digit = Int32(name[index]) - 48
        guard digit >= 0, digit <= 9, result <= 200_000_000 else { return nil }
        result = result * 10 + digit
        index += 1
    }
    return index == 0 ? nil : result
}
