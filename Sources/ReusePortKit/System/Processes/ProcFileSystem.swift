import CLinux

/// proc(5), which is not mounted everywhere. The place can be another one so that its absence can be tested.
struct ProcFileSystem: Sendable {
    let root: ByteString

    init(root: ByteString = "/proc") { self.root = root }

    /// Whether there is anything in it: an empty directory can stand in its place.
    var isMounted: Bool {
        let probe: ByteString = "\(root)/self/stat"
        return probe.withCString { access($0, F_OK) == 0 }
    }

    /// A process's directory. What is read through it afterwards is of this very process, and fails with ESRCH once
    /// it has gone, even if its number is used again.
    func open(process pid: Int32) throws(Errno) -> Descriptor {
        try ReusePortKit.open("\(root)/\(pid)", O_RDONLY | O_DIRECTORY)
    }

    /// The directory of this very process; ESRCH if its number is another's by now.
    func open(_ process: ProcessIdentity) throws(Errno) -> Descriptor {
        let directory = try open(process: process.pid)
        let line = try readAll(try ReusePortKit.open("stat", in: directory, O_RDONLY), atMost: longestFile)
        guard let status = ProcessStatus(parsing: line), status.identity == process else { throw .noProcess }
        return directory
    }

    /// All of a file below the root. These files have no size to ask for: they are read to their end.
    func read(_ name: ByteString) throws(Errno) -> ByteString {
        try readAll(try ReusePortKit.open("\(root)/\(name)", O_RDONLY), atMost: longestFile)
    }

    /// The numbers of all processes that may be seen.
    func processes() throws(Errno) -> [Int32] {
        try numbers(in: try ReusePortKit.open(root, O_RDONLY | O_DIRECTORY))
    }
}

/// Bytes; the longest there can be is a command line, of a quarter of the stack's limit.
private let longestFile = 1 << 26

/// The entries of a directory that are numbers, and each as readlinkat(2) wants it.
func forEachNumber(
    in directory: borrowing Descriptor, _ body: (Int32, UnsafePointer<CChar>) -> Bool
) throws(Errno) {
    // fdopendir(3) takes the descriptor over, and shares the reading position with the one it comes from.
    let copy = try open(".", in: directory, O_RDONLY | O_DIRECTORY)
    guard let stream = fdopendir(copy.number) else { throw .current }
    _ = copy.release()
    defer { closedir(stream) }
    // What readdir(3) fails with is what an ending process leaves: the end.
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
