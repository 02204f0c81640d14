import CLinux

/// A name in the file system that did not exist before us, and that goes again if we do not get to the exec.
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

    /// flock(2): lets other launchers, and our own next socket, into the directory of the name made last.
    borrowing func unlockLast() { _ = flock(entries[entries.count - 1].directory.number, LOCK_UN) }

    /// Takes the directories' descriptors out of the way of what the target will find below `number`.
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

    /// Removes what is still what we made; a name that somebody has put something else under is left alone.
    borrowing func remove() {
        for index in 0..<entries.count {
            let name = entries[index].name
            let file = entries[index].file
            do throws(Errno) {
                guard try status(of: name, in: entries[index].directory).isSameFile(as: file) else { continue }
                try unlink(name, in: entries[index].directory)
            } catch {
                // Gone already, or not ours to remove any more: there is nobody left to tell.
            }
        }
    }
}
