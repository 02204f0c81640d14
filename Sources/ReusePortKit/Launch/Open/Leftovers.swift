import CLinux

/// A name that we made in the file system, and that is removed if the exec fails.
struct Leftover: ~Copyable {
    var directory: Descriptor
    let name: ByteString
    let file: FileStatus
}

/// All names made so far.
struct Leftovers: ~Copyable {
    private var entries = OwnedArray<Leftover>()

    init() {}

    var isEmpty: Bool { entries.count == 0 }

    mutating func append(_ entry: consuming Leftover) { entries.append(entry) }

    /// Moves the directories' descriptors to `number` or above, where they are in nobody's way.
    mutating func stepAside(from number: Int32) throws(Failure) {
        func remedy(_ errno: Errno) -> ByteString? {
            // fcntl(2) has EINVAL for a number beyond RLIMIT_NOFILE.
            errno == .invalid ? "numbers up to \(number) are needed; raise ulimit -n" : descriptorRemedy(errno)
        }
        for index in 0..<entries.count {
            entries[index].directory = try step("move", "descriptor of a directory", remedy: remedy) {
                () throws(Errno) in try entries[index].directory.duplicate(from: number)
            }
        }
    }

    /// Removes the names that still lead to the files that we made.
    borrowing func remove() {
        for index in 0..<entries.count {
            let name = entries[index].name
            let file = entries[index].file
            do throws(Errno) {
                guard try status(of: name, in: entries[index].directory).isSameFile(as: file) else { continue }
                try unlink(name, in: entries[index].directory)
            } catch {
                // The name is gone, or we may no longer remove it. Another failure is reported already.
            }
        }
    }
}
