import CLinux

/// Removes a directory with everything in it. Links are removed, never followed, and each step starts from a directory
/// that is held open. The file `last` is removed last, as it marks the directory as deploy's.
func removeTree(
    _ name: ByteString, in parent: borrowing Descriptor, last: ByteString? = nil, depth: Int = 8
) throws(Errno) {
    let directory = try open(name, in: parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    for entry in entryNames(of: directory) where entry != last {
        do throws(Errno) {
            if try status(of: entry, in: directory).isDirectory {
                // Service directories are not deep, so this is something else.
                guard depth > 0 else { throw .loop }
                try removeTree(entry, in: directory, depth: depth - 1)
            } else {
                try unlink(entry, in: directory)
            }
        } catch {
            // A supervisor that is ending replaces and removes files of its own.
            if error != .noEntry { throw error }
        }
    }
    if let last, let failure = reason({ () throws(Errno) in try unlink(last, in: directory) }), failure != .noEntry {
        throw failure
    }
    try removeDirectory(name, in: parent)
}
